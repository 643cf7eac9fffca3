"""How a study ends when its controller does not reach the end of it."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from mapsearch.core.errors import MapsearchError, StoreError, StudyChanged, StudyFailed
from mapsearch.core.text import error_text, printable
from mapsearch.store.handle import StudyHandle


@contextmanager
def recorded_end(study: StudyHandle) -> Iterator[None]:
    """Writes down how the study ended when an error or an interrupt leaves the `with` statement.

    A complete study that lacks nothing stays complete, but for a failure of its own. A database that fails,
    or a study that another process took over, is not written to, and the next process that runs the study puts right
    what is not.
    """
    try:
        yield
    except StoreError as error:
        if isinstance(error, StudyChanged):
            _end_failed(study, error.problems)
        raise
    except MapsearchError as error:
        with suppress(StoreError):
            _end_failed(study, error.problems, of_its_own=isinstance(error, StudyFailed))
        raise
    except Exception as error:
        with suppress(StoreError):
            _end_failed(study, (printable(f"unexpected {error_text(error)}"),))
        raise
    except BaseException:  # Ctrl-C, a request to stop, or whoever iterates lost interest
        with suppress(StoreError):
            study.release_runs()
            if study.state() != "complete":
                study.set_state("stopped")
        raise


def _end_failed(study: StudyHandle, problems: tuple[str, ...], *, of_its_own: bool = False) -> None:
    study.release_runs()
    for problem in problems:
        study.add_event("failed", problem)
    if of_its_own or study.state() != "complete":
        study.set_state("failed")
