"""More fresh seeds for a study that has a verdict."""

from collections.abc import Iterator

from mapsearch.controller.context import Update
from mapsearch.controller.run import run
from mapsearch.core.errors import SpecError
from mapsearch.core.looks import next_look
from mapsearch.core.studies import DEFAULT_STORAGE
from mapsearch.core.study_file import stored_study
from mapsearch.core.verdict import Verdict
from mapsearch.store.store import Store


def confirm(name: str, seeds: int, storage: str = DEFAULT_STORAGE, *, inline: bool = False) -> Verdict:
    """Go on with the open questions of a finished study, up to so many fresh seeds in all.

    Intervals and outcomes hold however often this is done.

    Args:
        seeds: raised to the next look.
        inline: train in this process, without workers.

    Raises:
        SpecError: the study has no verdict yet, or was looked at with so many seeds.
        MapsearchError: the study cannot be run, or failed.
    """
    verdict = None
    for update in confirm_updates(name, seeds, storage, inline=inline):
        verdict = update if isinstance(update, Verdict) else verdict
    assert verdict is not None
    return verdict


def confirm_updates(name: str, seeds: int, storage: str, *, inline: bool = False) -> Iterator[Update]:
    """`confirm` as an iterator of what happens."""
    with Store.open_to_read(storage) as store:
        study = store.study(name)
    verdict = study.facts.verdict
    if verdict is None:
        raise SpecError(f"study `{name}` has no verdict yet; finish it with `mapsearch run STUDY.yaml`")
    seen, asked = max((question.n_seeds for question in verdict.questions), default=0), next_look(seeds)
    if asked <= seen:
        raise SpecError(f"--seeds must be more than the {seen} fresh seeds that `{name}` has seen, but is {seeds}")
    yield from run(stored_study(study.spec, study.folder), storage, inline=inline, n_seeds=asked)
