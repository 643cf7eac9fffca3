"""Hand-made recipes: every control, and the controls at the nominee's settings."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from mapsearch.core.mapping import LayerMapping
from mapsearch.core.recipe import Recipe
from mapsearch.core.similarity import Similarity
from mapsearch.core.space import RecipeSpace
from mapsearch.core.spec import StudySpec
from mapsearch.core.trials import Trial
from mapsearch.proposers.controls import article, mapping_controls
from mapsearch.search.tuning import PLAIN, base_recipe

CONTROL_SHARE = 0.5
"""Feature share of hand-made mappings during the search; the verdict gives them the nominee's settings."""


def control_trials(
    spec: StudySpec, space: RecipeSpace, similarity: Similarity, plain: Mapping[str, Recipe], first: int
) -> list[Trial]:
    """All controls at the search's settings, numbered from `first`, on top of the tuned recipe without features.

    A mapping whose rows cannot be mixed, such as `all` across widths, is summed.

    Args:
        plain: the tuned controls without features, from `tuned`.
    """
    outputs = base_recipe(plain, spec.space.share_of)
    legal = space.legal(spec.space.loss[0], spec.space.projector[0])
    mappings = mapping_controls(space, similarity, legal, spec.seed)
    settings = {
        "loss": spec.space.loss[0],
        "projector": spec.space.projector[0],
        "aggregation": spec.space.aggregation[0],
        "balance": spec.space.balance[0],
        "anneal": spec.space.anneal[-1],
        "feature_share": min(max(CONTROL_SHARE, spec.space.feature_share[0]), spec.space.feature_share[1]),
    }
    recipes = dict(plain)
    recipes |= {name: replace(outputs, mapping=mapping, **settings) for name, mapping in mappings.items()}  # type: ignore[arg-type]
    recipes = {name: replace(r, aggregation="sum") if space.problems(r) else r for name, r in recipes.items()}
    if "uniform" in mappings:
        recipes["article"] = article(mappings["uniform"], outputs, spec.space.projector[0])
    return [
        Trial(number, "control", recipe, control=name) for number, (name, recipe) in enumerate(recipes.items(), first)
    ]


def matched_trials(nominee: Recipe, trials: Sequence[Trial], space: RecipeSpace, first: int) -> list[Trial]:
    """Every hand-made mapping with the nominee's own loss, share and fading, numbered from `first`.

    So that the verdict is about the mapping: against controls at other settings a better share
    would pass for a better mapping. The nominee's own mapping is left out, and of equal ones all but the first.
    """
    matched: list[Trial] = []
    for trial in trials:
        mapping = trial.recipe.mapping
        if trial.proposer != "control" or not mapping.pairs or trial.control == "article":
            continue
        recipe = replace(nominee, mapping=mapping)
        known = (nominee.mapping, *(m.recipe.mapping for m in matched))
        if not any(same_mapping(mapping, other) for other in known) and not space.problems(recipe):
            matched.append(Trial(first + len(matched), "matched", recipe, control=trial.control))
    return matched


def missing_matched_trials(nominee: Recipe, trials: Sequence[Trial], space: RecipeSpace) -> list[Trial]:
    """Those of `matched_trials` that the study does not have: all of them for a new nominee, none for the old one."""
    have = {t.recipe for t in trials if t.proposer == "matched"}
    missing = [t for t in matched_trials(nominee, trials, space, 0) if t.recipe not in have]
    return [replace(trial, number=len(trials) + i) for i, trial in enumerate(missing)]


def matched_to(nominee: Trial, trials: Sequence[Trial]) -> list[Trial]:
    """The matched trials of that nominee; an earlier nominee's have other settings."""
    matched = [t for t in trials if t.proposer == "matched"]
    return [t for t in matched if t.recipe == replace(nominee.recipe, mapping=t.recipe.mapping)]


def same_mapping(one: LayerMapping, other: LayerMapping) -> bool:
    """Whether two mappings teach alike: their weights differ by a common factor only."""
    a, b = one.normalised().pairs, other.normalised().pairs
    return len(a) == len(b) and all(x[:2] == y[:2] and math.isclose(x[2], y[2]) for x, y in zip(a, b, strict=True))


def verdict_controls(trials: Sequence[Trial], nominee: Trial | None) -> tuple[dict[str, int], list[str]]:
    """Which trial stands for each control in the verdict, and the controls that are the nominee's own mapping."""
    controls = [t for t in trials if t.proposer == "control"]
    matched = matched_to(nominee, trials) if nominee is not None else []
    numbers = {t.control: t.number for t in controls if t.control in (*PLAIN, "article")}
    own = []
    for control in controls:
        mapping = control.recipe.mapping
        if control.control in numbers:
            continue
        if nominee is not None and same_mapping(mapping, nominee.recipe.mapping):
            own.append(control.control)
        twin = next((m for m in matched if same_mapping(mapping, m.recipe.mapping)), None)
        if twin is not None:
            numbers[control.control] = twin.number
    return numbers, own
