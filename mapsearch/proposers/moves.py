"""Neighbours of a candidate: one step of one pair, row, stretch of rows or setting."""

import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np

from mapsearch.core.space_spec import SpaceSpec
from mapsearch.proposers.candidates import Candidate, Candidates, Settings, alternatives
from mapsearch.proposers.curve_numbers import LEAST_SHIFT, MOST_SHIFT, stepped_curve
from mapsearch.proposers.depth_curve import Weights

SHARE_STEP = 0.15
"""By which a move changes the feature share."""

P_SETTING, P_NUMBER = 0.2, 0.6
"""How often a move changes a setting; how often, of a depth curve, one of its numbers; else it changes the weights."""


def moved(candidates: Candidates, candidate: Candidate, rng: np.random.Generator) -> Candidate | None:
    """The candidate after one step, or None if no legal pair remains."""
    choices = candidates.problem.choices
    if rng.random() < P_SETTING:
        settings = _other_setting(candidate.settings, choices, rng)
        return candidates.mended(candidate._replace(settings=settings, origin="move"))
    if candidate.curve is not None and rng.random() < P_NUMBER:
        stepped = stepped_curve(candidate.curve, candidates.limits, rng)
        return candidates.along(stepped, candidate.settings, "move")
    move = MAPPING_MOVES[rng.integers(len(MAPPING_MOVES))]
    weights = move(candidate.weights.copy(), rng)
    return candidates.mended(Candidate(weights, candidate.settings, "move"))


def crossed(candidates: Candidates, one: Candidate, other: Candidate, rng: np.random.Generator) -> Candidate | None:
    """Some rows of the one, the rest of the other, with the settings of the one."""
    rows = rng.random((len(one.weights), 1)) < 0.5
    return candidates.mended(Candidate(np.where(rows, one.weights, other.weights), one.settings, "move"))


def _step_of_a_pair(weights: Weights, rng: np.random.Generator) -> Weights:
    s, t = _a_pair(weights, rng)
    to = _next(t, weights.shape[1], rng)
    weights[s, to] += weights[s, t]
    weights[s, t] = 0.0
    return weights


def _step_of_a_stretch(weights: Weights, rng: np.random.Generator) -> Weights:
    """All rows, or those from one on, or those up to it, move by one teacher layer."""
    s, at = int(rng.integers(len(weights))), rng.integers(3)
    rows = slice(None) if at == 0 else slice(s, None) if at == 1 else slice(s + 1)
    weights[rows] = _aside(weights[rows], (-1, 1)[rng.integers(2)])
    return weights


def _a_far_teacher_more(weights: Weights, rng: np.random.Generator) -> Weights:
    """Every row gets the teacher layers so many further up, or further down, too."""
    T = weights.shape[1]
    far = int(rng.integers(math.ceil(LEAST_SHIFT * T), max(2, math.ceil(MOST_SHIFT * T))))
    return np.asarray(weights + _aside(weights, far * (-1, 1)[rng.integers(2)]))


def _aside(weights: Weights, n_layers: int) -> Weights:
    """Weights so many teacher layers further; what would leave the teacher goes to its end."""
    return np.asarray(weights @ _layers_aside(weights.shape[1], n_layers))


@lru_cache(maxsize=64)
def _layers_aside(n_teacher: int, n_layers: int) -> Weights:
    return np.eye(n_teacher)[np.clip(np.arange(n_teacher) + n_layers, 0, n_teacher - 1)]


def _a_pair_more(weights: Weights, rng: np.random.Generator) -> Weights:
    s, t = (int(rng.integers(n)) for n in weights.shape)
    row = weights[s] if weights[s].any() else weights[weights.any(1)].mean(0)
    weights[s, t] = row.max()
    return weights


def _a_pair_less(weights: Weights, rng: np.random.Generator) -> Weights:
    if np.count_nonzero(weights) > 1:
        weights[_a_pair(weights, rng)] = 0.0
    return weights


def _a_row_less(weights: Weights, rng: np.random.Generator) -> Weights:
    rows = np.flatnonzero(weights.any(1))
    if len(rows) > 1:
        weights[rows[rng.integers(len(rows))]] = 0.0
    return weights


def _a_heavier_or_lighter_row(weights: Weights, rng: np.random.Generator) -> Weights:
    weights[_a_pair(weights, rng)[0]] *= (0.5, 2.0)[rng.integers(2)]
    return weights


MAPPING_MOVES: tuple[Callable[[Weights, np.random.Generator], Weights], ...] = (
    _step_of_a_pair, _step_of_a_pair, _step_of_a_stretch, _step_of_a_stretch,
    _a_pair_more, _a_pair_less, _a_row_less, _a_heavier_or_lighter_row, _a_far_teacher_more,
)  # fmt: skip
"""Steps to a neighbouring teacher layer count twice."""


def _other_setting(settings: Settings, choices: SpaceSpec, rng: np.random.Generator) -> Settings:
    others = alternatives(choices)
    free = ["feature_share", *(name for name, values in others.items() if len(values) > 1)]
    name = free[rng.integers(len(free))]
    if name == "feature_share":
        (low, high), share = choices.feature_share, settings.feature_share + SHARE_STEP * (-1, 1)[rng.integers(2)]
        return settings._replace(feature_share=min(max(share, low), high))
    left = [value for value in others[name] if value != getattr(settings, name)]
    return settings._replace(**{name: left[rng.integers(len(left))]})


def _a_pair(weights: Weights, rng: np.random.Generator) -> tuple[int, int]:
    pairs = np.flatnonzero(weights > 0)
    s, t = divmod(pairs[rng.integers(len(pairs))], weights.shape[1])
    return int(s), int(t)


def _next(t: int, n_teacher: int, rng: np.random.Generator) -> int:
    neighbours = [at for at in (t - 1, t + 1) if 0 <= at < n_teacher]
    return neighbours[rng.integers(len(neighbours))] if neighbours else t
