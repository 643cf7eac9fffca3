"""A study for changed networks, from an old study's evidence."""

from collections.abc import Iterator

from mapsearch.controller.context import OnEvent, Update, verdict_of
from mapsearch.controller.run import run
from mapsearch.core.spec import StudySpec
from mapsearch.core.studies import DEFAULT_STORAGE
from mapsearch.core.verdict import Verdict


def port(
    old_study: str,
    spec: StudySpec,
    storage: str = DEFAULT_STORAGE,
    *,
    inline: bool = False,
    on_event: OnEvent | None = None,
) -> Verdict:
    """Run a study that begins with what an old one found, as far as that holds for its networks.

    Args:
        old_study: the name of a study in the same database.
        inline: train in this process, without workers.
        on_event: called with everything that happens, as in `run_study`.

    Raises:
        StudyNotFound: no study of that name; close matches are named.
        SpecError: the old study has found nothing yet, or the new one has begun its own search.
        MapsearchError: the study cannot be run as it is set up, or failed.
    """
    return verdict_of(port_updates(old_study, spec, storage, inline=inline), on_event)


def port_updates(
    old_study: str, spec: StudySpec, storage: str, study_file: str = "", *, inline: bool = False
) -> Iterator[Update]:
    """`port` as an iterator of what happens.

    Args:
        study_file: the text of the study file, kept with the study.
    """
    yield from run(spec, storage, study_file, inline=inline, old_study=old_study)
