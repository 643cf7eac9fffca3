"""More fresh seeds for a study that has a verdict."""

from collections.abc import Iterator

from mapsearch.api.launching import require_more_seeds
from mapsearch.controller.context import OnEvent, Update, verdict_of
from mapsearch.controller.run import run
from mapsearch.core.studies import DEFAULT_STORAGE
from mapsearch.core.study_file import stored_study
from mapsearch.core.verdict import Verdict
from mapsearch.store.store import Store


def confirm(
    name: str, seeds: int, storage: str = DEFAULT_STORAGE, *, inline: bool = False, on_event: OnEvent | None = None
) -> Verdict:
    """Go on with the open questions of a finished study, up to so many fresh seeds in all.

    Intervals and outcomes hold however often this is done.

    Args:
        seeds: raised to the next look.
        inline: train in this process, without workers.
        on_event: called with everything that happens, as in `run_study`.

    Raises:
        SpecError: the study has no verdict yet, or was looked at with so many seeds.
        MapsearchError: the study cannot be run, or failed.
    """
    return verdict_of(confirm_updates(name, seeds, storage, inline=inline), on_event)


def confirm_updates(name: str, seeds: int, storage: str, *, inline: bool = False) -> Iterator[Update]:
    """`confirm` as an iterator of what happens."""
    with Store.open_to_read(storage) as store:
        study = store.study(name)
    asked = require_more_seeds(study, seeds)
    yield from run(stored_study(study.spec, study.folder), storage, inline=inline, n_seeds=asked, is_stored=True)
