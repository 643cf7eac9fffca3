"""Sampled parameters <-> recipes: the depth curve with its similarity prior, and the free space.

Both share the fields named in `SHARED`. A *curve* places every student layer at a depth of the
teacher with a few numbers; the *free* space has one integer per student layer.
"""

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from mapsearch.core.mapping import LayerMapping
from mapsearch.core.recipe import Recipe
from mapsearch.core.space import RecipeSpace
from mapsearch.core.space_spec import SpaceSpec

Params = dict[str, Any]

SHARED = ("feature_share", "loss", "projector", "aggregation", "balance", "anneal")
"""Fields of a recipe that are sampled directly; `lr`, sampled too, is its `lr_factor`."""

RISE_RANGE = (-0.25, 1.0)
"""Of the depth curve: reversed mappings are rarely right, so steeply falling ones are left to the free space."""

LEAST_RELATIVE_WEIGHT = 0.05
"""Pairs below this fraction of their row's largest weight are dropped: each costs a loss and teaches almost nothing."""


def depth_curve(
    params: Mapping[str, Any], z: Sequence[Sequence[float]], legal: Sequence[Sequence[bool]]
) -> list[list[float]]:
    """Weights `W[S, T]` of a depth curve.

    Student layer `s`, at depth `x = s / (S - 1)`, is placed at teacher position
    `m = 1 + (T - 1) (lo + (hi - lo) x^gamma)` with `hi = lo + rise` kept in [0, 1]. Teacher layers
    share its row by `exp(-(t - m)^2 / (2 width^2) + similarity_weight * z)`; the `max_teachers`
    largest are kept and sum to `exp(slope * x)`.

    Args:
        z: similarity standardised per row, `[S, T]`; its weight may be negative.
        legal: which pairs may be matched, `[S, T]`.
    """
    S, T = len(legal), len(legal[0])
    hi = min(1.0, max(0.0, params["lo"] + params["rise"]))
    weights = []
    for s in range(S):
        x = s / (S - 1) if S > 1 else 1.0
        m = (T - 1) * (params["lo"] + (hi - params["lo"]) * x ** params["gamma"])
        score = [
            -((t - m) ** 2) / (2 * params["width"] ** 2) + params["similarity_weight"] * z[s][t]
            if legal[s][t]
            else -math.inf
            for t in range(T)
        ]
        weights.append(_row(score, params["max_teachers"], math.exp(params["slope"] * x)))
    return weights


def _row(score: Sequence[float], keep: int, total: float) -> list[float]:
    best = max(score)
    if best == -math.inf:
        return [0.0] * len(score)
    raw = [math.exp(value - best) for value in score]
    kept = sorted(range(len(raw)), key=lambda t: -raw[t])[:keep]
    row = [value if t in kept and value >= LEAST_RELATIVE_WEIGHT else 0.0 for t, value in enumerate(raw)]
    return [total * value / math.fsum(row) for value in row]


def free_choice(params: Mapping[str, Any], legal: Sequence[Sequence[bool]]) -> list[list[float]]:
    """Weights of the free space: `teacher_s` is a teacher layer counted from 1, or 0 for none."""
    return [[float(ok and t + 1 == params[f"teacher_{s}"]) for t, ok in enumerate(row)] for s, row in enumerate(legal)]


def to_recipe(
    params: Mapping[str, Any], space: RecipeSpace, z: Sequence[Sequence[float]], base: Recipe
) -> Recipe | None:
    """The recipe of sampled parameters, or None if no legal pair remains.

    Args:
        base: supplies what is not searched: weights of task and outputs, output loss, temperature.
    """
    legal = space.legal(params["loss"], params["projector"])
    weights = depth_curve(params, z, legal) if "lo" in params else free_choice(params, legal)
    if "lo" in params and params["aggregation"] != "sum":
        weights = depth_curve(params, z, _beside_heaviest(weights, legal, space.fusable()))
    mapping = LayerMapping.from_matrix(weights, space.student_layers, space.teacher_layers)
    if not mapping.pairs:
        return None
    rate = params.get("lr", base.lr_factor)  # studies of earlier versions did not sample it
    return replace(base, mapping=mapping, lr_factor=rate, **{key: params[key] for key in SHARED})


def _beside_heaviest(
    weights: Sequence[Sequence[float]], legal: Sequence[Sequence[bool]], fusable: Sequence[Sequence[bool]]
) -> list[list[bool]]:
    """The legal pairs without those whose teacher layer cannot be mixed with the heaviest one of its row."""
    heaviest = [max(range(len(row)), key=lambda t, row=row: row[t]) for row in weights]  # type: ignore[misc]
    return [[ok and fusable[best][t] for t, ok in enumerate(row)] for best, row in zip(heaviest, legal, strict=True)]


def to_params(recipe: Recipe, space: RecipeSpace, choices: SpaceSpec) -> Params | None:
    """Parameters that decode to the recipe, or None if it lies outside the sampled space.

    Straight one-to-one mappings become a curve, other one-to-one mappings a point of the free space.
    """
    low, high = choices.feature_share
    chosen = (
        all(
            getattr(recipe, key) in getattr(choices, key)
            for key in ("loss", "projector", "aggregation", "balance", "anneal")
        )
        and recipe.lr_factor in choices.lr
    )
    if not (recipe.mapping.pairs and chosen and low <= recipe.feature_share <= high):
        return None
    shared = _shared(recipe)
    rows = [
        [t for t, weight in enumerate(row, start=1) if weight > 0]
        for row in recipe.mapping.matrix(space.student_layers, space.teacher_layers)
    ]
    if any(len(row) > 1 for row in rows):
        return None
    straight = _straight(rows, len(space.teacher), choices) if all(rows) else None
    candidates = [shared | straight] if straight else []
    candidates.append(shared | {f"teacher_{s}": row[0] if row else 0 for s, row in enumerate(rows)})
    flat = [[0.0] * len(space.teacher)] * len(rows)
    for params in candidates:
        back = to_recipe(params, space, flat, recipe)
        if back is not None and back.mapping.normalised() == recipe.mapping.normalised():
            return params
    return None


def _shared(recipe: Recipe) -> Params:
    return {key: getattr(recipe, key) for key in SHARED} | {"lr": recipe.lr_factor}


def _straight(rows: Sequence[Sequence[int]], n_teacher: int, choices: SpaceSpec) -> Params | None:
    """The straight curve between the teachers of the first and the last student layer, if the ranges allow it."""
    span = max(1, n_teacher - 1)
    lo, hi = (rows[0][0] - 1) / span, (rows[-1][0] - 1) / span
    low, high = choices.similarity_weight
    if not (RISE_RANGE[0] <= hi - lo <= RISE_RANGE[1] and low <= 0 <= high):
        return None
    return {
        "lo": lo, "rise": hi - lo, "gamma": 1.0, "width": choices.width[0],
        "similarity_weight": 0.0, "max_teachers": 1, "slope": 0.0,
    }  # fmt: skip


def local_move(recipe: Recipe, space: RecipeSpace, seed: int) -> Params:
    """A neighbour of a recipe in the free space: one student layer moves to an adjacent teacher layer, or to none."""
    rng = random.Random(seed)
    matrix = recipe.mapping.matrix(space.student_layers, space.teacher_layers)
    chosen = [max(range(len(row)), key=lambda t, row=row: row[t]) + 1 if any(row) else 0 for row in matrix]  # type: ignore[misc]
    steps = [
        (s, t)
        for s, at in enumerate(chosen)
        for t in (at - 1, at + 1)
        if 0 <= t <= len(space.teacher) and any((*chosen[:s], t, *chosen[s + 1 :]))
    ]
    if steps:  # a single pair of layers has no neighbour
        s, t = rng.choice(steps)
        chosen[s] = t
    return _shared(recipe) | {f"teacher_{s}": t for s, t in enumerate(chosen)}
