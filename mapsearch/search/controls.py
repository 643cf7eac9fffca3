"""Hand-made recipes: every control, and the controls at the nominee's settings."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from mapsearch.core.facts import EqualTime
from mapsearch.core.losses import LOSS_TRAITS
from mapsearch.core.mapping import LayerMapping
from mapsearch.core.overheads import Overheads
from mapsearch.core.recipe import Recipe
from mapsearch.core.similarity import Similarity
from mapsearch.core.space import RecipeSpace
from mapsearch.core.spec import StudySpec
from mapsearch.core.trials import Trial
from mapsearch.proposers.controls import (
    OTHER_PROJECTOR,
    OWN_SETTINGS,
    article,
    distinct_mappings,
    mapping_controls,
)
from mapsearch.search.tuning import PLAIN, base_recipe

CONTROL_SHARE = 0.5
"""Feature share of hand-made mappings during the search; the verdict gives them the nominee's settings."""


EQUAL_TIME = "outputs_equal_time"

TELLING = ("uniform", EQUAL_TIME, "no_projector", "linear_projector", "copied", "placebo", "article")
"""Context that explains a verdict, before that which only illustrates it."""


def hand_made(
    spec: StudySpec, space: RecipeSpace, similarity: Similarity, copied: Mapping[str, str]
) -> tuple[dict[str, LayerMapping], dict[str, str]]:
    """The hand-made mappings by control, and the controls left out because their mapping is that of another one.

    Args:
        copied: the teacher layer whose weights a student layer starts from, by the student's.
    """
    legal = space.legal(spec.space.loss[0], spec.space.projector[0])
    return distinct_mappings(mapping_controls(space, similarity, legal, spec.seed, copied))


def control_trials(
    spec: StudySpec, space: RecipeSpace, mappings: Mapping[str, LayerMapping], plain: Mapping[str, Recipe], first: int
) -> list[Trial]:
    """All controls at the search's settings, numbered from `first`, on top of the tuned recipe without features.

    A mapping whose rows cannot be mixed, such as `all` across widths, is summed. Where layers of equal widths are
    matched, one control has the other projector.

    Args:
        mappings: the hand-made ones, from `hand_made`.
        plain: the tuned controls without features, from `tuned`.
    """
    outputs = base_recipe(plain, spec.space.share_of)
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
    if like := recipes.get("copied") or recipes.get("uniform"):
        recipes |= other_projector(like, space)
    return [
        Trial(number, "control", recipe, control=name) for number, (name, recipe) in enumerate(recipes.items(), first)
    ]


def other_projector(recipe: Recipe, space: RecipeSpace) -> dict[str, Recipe]:
    """The recipe with the other projector, by the name of that control: none beside a linear one and the reverse.

    Empty where widths differ, or where the loss needs no projector. At equal widths a projector may keep the features
    from teaching anything: it learns what the student does not.
    """
    name, projector = OTHER_PROJECTOR[recipe.projector]
    twin = replace(recipe, projector=projector)
    students, teachers = ({layer.path: layer.width for layer in layers} for layers in (space.student, space.teacher))
    same_widths = all(students[pair.student] == teachers[pair.teacher] for pair in recipe.mapping.pairs)
    legal = LOSS_TRAITS[recipe.loss].projected and same_widths and not space.problems(twin)
    return {name: twin} if legal else {}


def matched_trials(nominee: Recipe, trials: Sequence[Trial], space: RecipeSpace, first: int) -> list[Trial]:
    """Every hand-made mapping with the nominee's own loss, share and fading, and the nominee with another projector.

    Numbered from `first`. So that the verdict is about the mapping: against controls at other settings a better share
    would pass for a better mapping. The nominee's own mapping is left out, and of equal ones all but the first.
    """
    matched: list[Trial] = []
    for trial in trials:
        mapping = trial.recipe.mapping
        if trial.proposer != "control" or not mapping.pairs or trial.control in OWN_SETTINGS:
            continue
        recipe = replace(nominee, mapping=mapping)
        known = (nominee.mapping, *(m.recipe.mapping for m in matched))
        if not any(same_mapping(mapping, other) for other in known) and not space.problems(recipe):
            matched.append(Trial(first + len(matched), "matched", recipe, control=trial.control))
    twins = other_projector(nominee, space).items()
    return [*matched, *(Trial(first + len(matched), "matched", twin, control=name) for name, twin in twins)]


def missing_matched_trials(nominee: Recipe, trials: Sequence[Trial], space: RecipeSpace) -> list[Trial]:
    """Those of `matched_trials` that the study does not have: all of them for a new nominee, none for the old one."""
    have = {t.recipe for t in trials if t.proposer == "matched"}
    missing = [t for t in matched_trials(nominee, trials, space, 0) if t.recipe not in have]
    return [replace(trial, number=len(trials) + i) for i, trial in enumerate(missing)]


def matched_to(nominee: Trial, trials: Sequence[Trial]) -> list[Trial]:
    """The matched trials of that nominee; an earlier nominee's have other settings."""
    matched = [t for t in trials if t.proposer == "matched" and t.recipe.mapping.pairs]
    twin = replace(nominee.recipe, projector=OTHER_PROJECTOR[nominee.recipe.projector][1])
    return [t for t in matched if t.recipe in (replace(nominee.recipe, mapping=t.recipe.mapping), twin)]


def equal_time(
    nominee: Trial, trials: Sequence[Trial], overheads: Overheads | None, n_steps: int
) -> tuple[EqualTime, Trial] | None:
    """The best recipe without features, given the nominee's training time: its extra time per step as more steps.

    None where there are no outputs to teach by, or where the nominee takes no longer.

    Args:
        n_steps: those of a full run.
    """
    outputs = next((t for t in trials if t.control == "outputs"), None)
    if outputs is None or overheads is None:
        return None
    longer = math.ceil(n_steps * _rounded_up(overheads.of(nominee.recipe.to_json())))
    trial = Trial(len(trials), "matched", outputs.recipe, control=EQUAL_TIME)
    return (EqualTime(nominee.number, trial.number, longer), trial) if longer > n_steps else None


def _rounded_up(overhead: float) -> float:
    """In twentieths: two measurements on one machine mostly agree on that."""
    return math.ceil(20 * overhead - 1e-6) / 20


def telling_first(names: Sequence[str]) -> list[str]:
    """Controls in the order in which a budget that does not suffice for all of them pays."""
    telling = [name for name in TELLING if name in names]
    return [*telling, *(name for name in names if name not in telling)]


def same_mapping(one: LayerMapping, other: LayerMapping) -> bool:
    """Whether two mappings teach alike: their weights differ by a common factor only."""
    a, b = one.normalised().pairs, other.normalised().pairs
    return len(a) == len(b) and all(x[:2] == y[:2] and math.isclose(x[2], y[2]) for x, y in zip(a, b, strict=True))


def verdict_controls(trials: Sequence[Trial], nominee: Trial | None) -> tuple[dict[str, int], list[str]]:
    """Which trial stands for each control in the verdict, and the controls that are the nominee's own mapping."""
    controls = [t for t in trials if t.proposer == "control"]
    matched = matched_to(nominee, trials) if nominee is not None else []
    numbers = {t.control: t.number for t in controls if t.control in (*PLAIN, "article")}
    numbers |= {t.control: t.number for t in matched if t.control in OWN_SETTINGS}
    own = []
    for control in controls:
        mapping = control.recipe.mapping
        if control.control in (*PLAIN, *OWN_SETTINGS):
            continue
        if nominee is not None and same_mapping(mapping, nominee.recipe.mapping):
            own.append(control.control)
        twins = (m for m in matched if m.control not in OWN_SETTINGS and same_mapping(mapping, m.recipe.mapping))
        if twin := next(twins, None):
            numbers[control.control] = twin.number
    return numbers, own
