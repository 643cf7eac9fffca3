"""Recipes of an old study, made recipes of a new one; and what becomes of those that cannot be."""

import math
from collections.abc import Mapping
from dataclasses import replace

from mapsearch.core.mapping import LayerMapping
from mapsearch.core.port import Carried, OldStudy, Port
from mapsearch.core.recipe import Recipe
from mapsearch.core.space import RecipeSpace
from mapsearch.core.space_spec import SpaceSpec
from mapsearch.core.trials import Proposer, Trial
from mapsearch.porting.depths import at_new_depths

NOT_CARRIED: tuple[Proposer, ...] = ("tune", "control", "matched")
"""Controls and what is confirmed are always new."""

N_BEST = 4
"""Of the old ranking so many are run again, and with them the nominee and the worst."""


def carry(old: OldStudy, space: RecipeSpace, choices: SpaceSpec) -> Port:
    """The old study's proposals as recipes between the new layers, best first; of equal ones the best.

    Args:
        space: that of the new study, and `choices` what may vary there.
    """
    carried, left_out, known = list[Carried](), list[tuple[int, str]](), dict[Recipe, int]()
    for trial in sorted(_proposals(old), key=lambda t: (-old.sign * (t.value or 0.0), t.number)):
        recipe, why = _in_new_space(trial.recipe, old.space, space, choices)
        if recipe is None:
            left_out.append((trial.number, why))
        elif recipe in known:
            left_out.append((trial.number, f"it is here what trial {known[recipe]} is"))
        else:
            known[recipe] = trial.number
            carried.append(Carried(trial.number, old.sign * (trial.value or 0.0), recipe))
    return Port(old.name, tuple(carried), tuple(left_out), _again(carried, old.nominee), _control_gains(old))


def on_top_of(base: Recipe, carried: Recipe) -> Recipe:
    """The carried mapping and settings of the features, on the new study's tuned outputs."""
    return replace(
        base, mapping=carried.mapping, loss=carried.loss, projector=carried.projector,
        aggregation=carried.aggregation, feature_share=carried.feature_share, balance=carried.balance,
        anneal=carried.anneal, lr_factor=carried.lr_factor,
    )  # fmt: skip


def _proposals(old: OldStudy) -> list[Trial]:
    complete = [t for t in old.trials if t.state == "complete" and t.value is not None and t.recipe.mapping.pairs]
    return [t for t in complete if t.proposer not in NOT_CARRIED or t.number == old.nominee]


def _again(carried: list[Carried], nominee: int | None) -> tuple[int, ...]:
    """The best, the nominee and the worst: a ranking shows itself where recipes differ."""
    numbers = [row.trial for row in carried]
    chosen = [*numbers[:N_BEST], *(n for n in numbers if n == nominee), *numbers[-1:]]
    return tuple(dict.fromkeys(chosen))


def _control_gains(old: OldStudy) -> Mapping[str, float]:
    found = [t for t in old.trials if t.proposer == "control" and t.value is not None and t.recipe.mapping.pairs]
    return {t.control: old.sign * t.value for t in found if t.value is not None}


def _in_new_space(
    recipe: Recipe, old: RecipeSpace, space: RecipeSpace, choices: SpaceSpec
) -> tuple[Recipe | None, str]:
    """The recipe between the new layers with the nearest settings that are searched there, or why there is none."""
    for key in ("loss", "projector", "aggregation", "balance"):
        if getattr(recipe, key) not in getattr(choices, key):
            return None, f"`{key}: {getattr(recipe, key)}` is not in `space.{key}`"
    legal, weights = space.legal(recipe.loss, recipe.projector), at_new_depths(recipe.mapping, old, space)
    allowed = [[w if ok else 0.0 for w, ok in zip(*rows, strict=True)] for rows in zip(weights, legal, strict=True)]
    mapping = LayerMapping.from_matrix(allowed, space.student_layers, space.teacher_layers)
    if not mapping.pairs:
        return None, "none of its pairs can be matched here"
    low, high = choices.feature_share
    carried = replace(
        recipe, mapping=mapping.normalised(), feature_share=min(max(recipe.feature_share, low), high),
        anneal=_nearest_anneal(recipe.anneal, choices), lr_factor=_nearest_rate(recipe.lr_factor, choices),
    )  # fmt: skip
    problems = space.problems(carried)
    return (None, problems[0]) if problems else (carried, "")


def _nearest_anneal(anneal: float | None, choices: SpaceSpec) -> float | None:
    """None, which never fades, stands beyond every fraction."""
    return min(choices.anneal, key=lambda other: abs((other or 2.0) - (anneal or 2.0)))


def _nearest_rate(rate: float, choices: SpaceSpec) -> float:
    return min(choices.lr, key=lambda other: abs(math.log(other / rate)))
