"""Depth curves: mappings of a few numbers, relative to the teacher's depth and to T/S."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Weights = NDArray[np.float64]
"""`W[S, T] >= 0`."""

LEAST_RELATIVE_WEIGHT = 0.05
"""Pairs below this fraction of their row's largest weight are dropped: each costs a loss and teaches almost nothing."""


class DepthCurve(NamedTuple):
    """Student layer `s`, at depth `x = s / (S - 1)`, learns from around `start + (end - start) x^bend`.

    Depths are fractions of the teacher's, 0 its first layer and 1 its last. Both ends lie on the teacher, so that no
    two curves are cut to the same one.

    Attributes:
        spread: standard deviation of the teacher layers around the curve, in units of T/S.
        n_kept: how many teacher layers a row keeps of each curve.
        prior: signed strength of the similarity prior.
        slope: logarithm by which the last row outweighs the first.
        shift: depth from the curve to a second one, whose teacher layers each row has too; 0 for none.
        first: the first row that is on, as a fraction of the student's depth.
        last: the last row that is on.
    """

    start: float
    end: float
    bend: float = 1.0
    spread: float = 0.15
    n_kept: int = 1
    prior: float = 0.0
    slope: float = 0.0
    shift: float = 0.0
    first: float = 0.0
    last: float = 1.0

    def weights(self, z: Weights, legal: NDArray[np.bool_]) -> Weights:
        """`W[S, T]`: per row `exp(-(t - depth)^2 / (2 spread^2) + prior * z)`, the `n_kept` largest of each curve.

        Args:
            z: similarity standardised per row, `[S, T]`.
            legal: which pairs may be matched, `[S, T]`.
        """
        S, T = legal.shape
        x = np.arange(S) / (S - 1) if S > 1 else np.ones(1)
        depths = (self.start + (self.end - self.start) * x**self.bend)[None]
        depths = np.concatenate([depths, depths + self.shift]) if self.shift else depths
        bias = np.where(legal, self.prior * z, -np.inf)
        weights = _around((T - 1) * depths, self.spread * T / S, self.n_kept, bias).sum(0)
        half = 0.5 / max(1, S - 1)  # the nearest row is on
        on = (x > self.first - half) & (x < self.last + half)
        return np.asarray(weights * (np.exp(self.slope * x) * on)[:, None])


def _around(positions: Weights, spread: float, n_kept: int, bias: Weights) -> Weights:
    """Rows around positions `[n, S]` that sum to one, or to zero where nothing is legal, `[n, S, T]`."""
    T = bias.shape[1]
    score = -((np.arange(T) - positions[:, :, None]) ** 2) / (2 * spread**2) + bias
    best = score.max(2, keepdims=True)
    raw = np.exp(score - np.where(np.isfinite(best), best, 0.0))
    raw[raw < LEAST_RELATIVE_WEIGHT] = 0.0
    if n_kept < T:
        rows = raw.reshape(-1, T)  # a view
        rows[np.arange(len(rows))[:, None], (-rows).argsort(1, kind="stable")[:, n_kept:]] = 0.0
    return np.asarray(raw / np.maximum(raw.sum(2, keepdims=True), math.ulp(0.0)))


def straight_curve(weights: Weights) -> DepthCurve | None:
    """The straight curve of a mapping with one teacher layer a row, all alike; None where there is none."""
    if (np.count_nonzero(weights, axis=1) != 1).any():
        return None
    at, legal = weights.argmax(1), np.ones(weights.shape, dtype=bool)
    first, last = (float(t / max(1, weights.shape[1] - 1)) for t in (at[0], at[-1]))
    curve = DepthCurve(first, last)
    drawn = curve.weights(np.zeros(weights.shape), legal)
    return curve if np.allclose(drawn / drawn.sum(), weights / weights.sum()) else None
