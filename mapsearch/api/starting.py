"""What the service's processes do: fulfil the request to start a study."""

from collections.abc import Iterator
from contextlib import ExitStack

from mapsearch.api.launching import require_more_seeds, spec_of
from mapsearch.controller.context import Update
from mapsearch.controller.ending import recorded_end
from mapsearch.controller.porting import expected_old
from mapsearch.controller.preparation import announce_wait
from mapsearch.controller.run import conduct, take_spec
from mapsearch.core.errors import StartWithdrawn, StudyBusy, StudyNotFound
from mapsearch.core.studies import StartRequest
from mapsearch.proposers.optuna_record import create_tables
from mapsearch.store.handle import StudyHandle
from mapsearch.store.store import Store


def asked_updates(name: str, storage: str) -> Iterator[Update]:
    """Run a study, or follow its questions to more seeds, as the request says that stands when the study is taken.

    Raises:
        StartWithdrawn: the study was stopped, renamed or deleted meanwhile, or is another process's; nothing changes.
        MapsearchError: it cannot be run, or failed, which is written down with it.
    """
    with ExitStack() as stack:
        store = stack.enter_context(Store.open(storage, create_more=create_tables))
        try:
            yield from announce_wait(store, name)
            study, request = stack.enter_context(store.control_as_asked(name))
        except (StudyNotFound, StudyBusy) as error:
            raise StartWithdrawn(*error.problems) from None
        yield from _fulfil(store, study, request)


def _fulfil(store: Store, study: StudyHandle, request: StartRequest) -> Iterator[Update]:
    with recorded_end(study):
        stored = study.study()
        spec, text = spec_of(stored)
        n_seeds = None if request.seeds is None else require_more_seeds(stored, request.seeds)
        old = expected_old(store, study)
        spec = take_spec(study, spec, text)
    yield from conduct(study, spec, store.url, n_seeds=n_seeds, old=old)
