"""A study as another one takes it over."""

from collections.abc import Sequence

from mapsearch.core.errors import SpecError
from mapsearch.core.port import OldStudy
from mapsearch.core.space import RecipeSpace
from mapsearch.core.studies import Study
from mapsearch.core.trials import PROPOSALS, Trial


def old_study(study: Study, trials: Sequence[Trial], new_name: str) -> OldStudy:
    """What the study `new_name` needs of an old one.

    Raises:
        SpecError: it is the new one itself, or has found nothing yet.
    """
    name = study.name
    if name == new_name:
        raise SpecError(f"`{name}` cannot be ported to itself: give the study file a new `name`")
    if not any(t.proposer in PROPOSALS and t.state == "complete" for t in trials):
        raise SpecError(f"study `{name}` has no complete proposal to take over yet; go on with it first")
    layers, verdict = study.facts.layers, study.facts.verdict
    nominee = verdict.nominee if verdict else None
    sign = -1.0 if study.spec.get("direction") == "minimize" else 1.0
    return OldStudy(name, RecipeSpace(layers["student"], layers["teacher"]), tuple(trials), sign, nominee)
