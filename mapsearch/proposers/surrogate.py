"""A Gaussian process over recipes: what a mapping is worth, told from those tried.

Two mappings are alike when their weights lie on the same and on neighbouring layers, whatever made them, so that
controls, proposals and recipes of earlier versions teach the same model.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve, solve_triangular

from mapsearch.core.recipe import NAMED_SETTINGS
from mapsearch.proposers.candidates import Candidate, Settings

Floats = NDArray[np.float64]

NEIGHBOURING_ROWS = 0.6
"""Length, in student layers, over which rows are alike."""

REACHES, SCALES, SETTINGS_SHARES, NOISES = (0.08, 0.2), (0.4, 1.0), (0.1, 0.4), (0.1, 0.5, 2.0)
"""What the likelihood chooses from: the length over which teacher layers are alike (of their number), over which
mappings are alike, the part of the variance that settings explain, and the noise's variance."""

MOST_WEIGHED = 200
"""Values by which the likelihood chooses."""

LINEAR_SHARE = 0.3
"""The part of a mapping's worth that adds up pair by pair; the rest may be anything smooth."""

SHARE_LENGTH, ANNEAL_LENGTH, OTHER_CHOICE = 0.3, 0.4, 1.2
"""Lengths of a feature share and of a fading, and the distance between two names."""

WHATEVER_ELSE = 0.8
"""The part of what a setting is worth that another setting leaves as it is."""


class Points(NamedTuple):
    """Candidates as numbers: mappings `[n, S, T]`, settings `[n, D]`."""

    mappings: Floats
    settings: Floats


def points(candidates: Sequence[Candidate]) -> Points:
    """Rows are weighted by the root of their share: what teaches little matters little."""
    weights = np.array([c.weights for c in candidates])
    weights /= weights.sum((1, 2), keepdims=True)
    rows = np.sqrt(np.maximum(weights.sum(2, keepdims=True), 1e-12))
    return Points(weights / rows, np.array([_coordinates(c.settings) for c in candidates]))


@lru_cache(maxsize=4096)  # those tried are asked for before each proposal
def _coordinates(settings: Settings) -> tuple[float, ...]:
    """Numbers in units of their lengths, then the place of each name in its list."""
    anneal = 1.5 if settings.anneal is None else settings.anneal
    at = [settings.feature_share / SHARE_LENGTH, anneal / ANNEAL_LENGTH, math.log(settings.lr_factor)]
    return (*at, *(every.index(getattr(settings, name)) for name, every in NAMED_SETTINGS.items()))


@dataclass(frozen=True)
class Surrogate:
    """What is expected of a recipe, in standard deviations of the values it was told."""

    told: Points
    values: Floats
    kernel: "Kernel"
    noise: float
    variance: float
    cholesky: Floats
    weights: Floats

    @property
    def settings_matter(self) -> bool:
        """Whether the values are likeliest where settings explain much of them."""
        return self.kernel.settings_share == max(SETTINGS_SHARES)

    def predict(self, asked: Points) -> tuple[Floats, Floats]:
        """Expected values `[n]` and their standard deviations, without a run's own noise `[n]`."""
        between = self.kernel.between(asked, self.told)
        explained = (solve_triangular(self.cholesky, between.T, lower=True, check_finite=False) ** 2).sum(0)
        left = np.maximum(self.kernel.own(asked) - explained, 1e-9)
        return between @ self.weights, np.sqrt(self.variance * left)

    def expected_of_told(self) -> Floats:
        """What `predict` expects of the points it was told, `[n]`: the values without what is taken for noise."""
        return self.values - self.noise * self.weights

    def believing(self, waiting: Points) -> "Surrogate":
        """The model as if these had ended as it expects: less is then to be learned beside them."""
        told = Points(*(np.concatenate(both) for both in zip(self.told, waiting, strict=True)))
        values = np.concatenate([self.values, self.predict(waiting)[0]])
        return _conditioned(told, values, self.kernel, self.noise, self.kernel.between(told, told))


@dataclass(frozen=True)
class Kernel:
    """How alike recipes are: mappings as smoothed weights, linearly and not, plus settings."""

    reach: float
    scale: float
    settings_share: float

    def between(self, one: Points, other: Points) -> Floats:
        """`[n, m]`."""
        mappings = _mappings_alike(one.mappings, other.mappings, self.reach, self.scale)
        return self.joined(mappings, _settings_alike(one.settings, other.settings))

    def own(self, points: Points) -> Floats:
        """The diagonal of `between` a set and itself, `[n]`."""
        linear = (_smoothed(points.mappings, self.reach) ** 2).sum(1)
        return self.joined(1 - LINEAR_SHARE + LINEAR_SHARE * linear, np.ones(len(linear)))

    def joined(self, mappings: Floats, settings: Floats) -> Floats:
        """Both in their shares."""
        return np.asarray((1 - self.settings_share) * mappings + self.settings_share * settings)


def fitted(told: Points, values: Floats) -> Surrogate:
    """The model under which the values are most likely, among a few; Source: Rasmussen and Williams 2006, ch. 2, 5.

    Which one that is, a part of many values says as well, and much faster: the cost grows with their cube.

    Args:
        values: standardised, `[n]`.
    """
    every = slice(None, None, -(-len(values) // MOST_WEIGHED))
    best = _likeliest(Points(*(part[every] for part in told)), values[every])
    if len(best.values) == len(values):
        return best
    return _conditioned(told, values, best.kernel, best.noise, best.kernel.between(told, told))


def _likeliest(told: Points, values: Floats) -> Surrogate:
    settings, models = _settings_alike(told.settings, told.settings), list[Surrogate]()
    for reach, scale in product(REACHES, SCALES):
        mappings = _mappings_alike(told.mappings, told.mappings, reach, scale)
        for kernel in (Kernel(reach, scale, share) for share in SETTINGS_SHARES):
            covariance = kernel.joined(mappings, settings)
            models += [_conditioned(told, values, kernel, noise, covariance) for noise in NOISES]
    return max(models, key=_log_likelihood)


def _conditioned(told: Points, values: Floats, kernel: Kernel, noise: float, covariance: Floats) -> Surrogate:
    noisy = covariance.copy()
    np.fill_diagonal(noisy, covariance.diagonal() + noise)
    cholesky = np.asarray(np.linalg.cholesky(noisy), dtype=np.float64)
    weights = cho_solve((cholesky, True), values, check_finite=False)
    return Surrogate(told, values, kernel, noise, float(values @ weights) / len(values), cholesky, weights)


def _log_likelihood(model: Surrogate) -> float:
    """But for a constant; the variance is its most likely one."""
    n = len(model.values)
    return -n / 2 * math.log(max(model.variance, 1e-300)) - float(np.log(np.diag(model.cholesky)).sum())


def _mappings_alike(one: Floats, other: Floats, reach: float, scale: float) -> Floats:
    """`[n, m]`."""
    a, b = (_smoothed(mappings, reach) for mappings in (one, other))
    squared = (a**2).sum(1)[:, None] + (b**2).sum(1) - 2 * a @ b.T
    return np.asarray((1 - LINEAR_SHARE) * np.exp(-squared / (2 * scale**2)) + LINEAR_SHARE * a @ b.T)


def _settings_alike(one: Floats, other: Floats) -> Floats:
    """By every setting alone and by all together, `[n, m]`; Source: ANOVA kernels, Duvenaud et al. 2011."""
    alike = np.ones((len(one), len(other)))
    n_numbers = one.shape[1] - len(NAMED_SETTINGS)
    other_name = WHATEVER_ELSE + (1 - WHATEVER_ELSE) * math.exp(-(OTHER_CHOICE**2) / 2)
    varying = (one != one[0]).any(0) | (other != one[0]).any(0)  # what all have in common tells nothing
    for at in np.flatnonzero(varying):
        if at < n_numbers:
            squared = (one[:, at, None] - other[:, at]) ** 2
            alike *= WHATEVER_ELSE + (1 - WHATEVER_ELSE) * np.exp(-squared / 2)
        else:
            alike *= np.where(one[:, at, None] == other[:, at], 1.0, other_name)
    return alike


def _smoothed(mappings: Floats, reach: float) -> Floats:
    """Weights spread over neighbouring layers, so that their scalar product says how near two mappings lie."""
    n, S, T = mappings.shape
    return np.asarray((_root(S, NEIGHBOURING_ROWS).T @ (mappings @ _root(T, reach * T))).reshape(n, S * T))


@lru_cache(maxsize=64)
def _root(n: int, length: float) -> Floats:
    """`L` with `L L' = exp(-(i - j)^2 / (2 length^2))`, `[n, n]`."""
    at = np.arange(n)
    alike = np.exp(-((at[:, None] - at) ** 2) / (2 * length**2))
    return np.asarray(np.linalg.cholesky(alike + 1e-6 * np.eye(n)), dtype=np.float64)
