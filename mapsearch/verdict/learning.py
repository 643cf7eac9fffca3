"""Whether students learned anything: held against the untrained student and the constant guess."""

import math
from collections.abc import Mapping, Sequence
from statistics import fmean

import numpy as np
from scipy import stats

from mapsearch.core.looks import LOOKS
from mapsearch.verdict.confirmed import DIVERGED
from mapsearch.verdict.looks import C_TIE

ALPHA, SIGN_ALPHA = 0.05, 0.1

LEAST_RUNS = 4
"""Of fewer runs nothing can be told."""

LEAST_SEEDS = 6
"""Before so many seeds nobody is said to have learned nothing."""


def has_learned(values: Mapping[int, Mapping[int, float]], baseline: float) -> bool:
    """Whether the recipes of a stage, or any one of them, came out above the baseline by more than chance.

    A t test of all means together, a sign test of all runs, and a t test of each recipe's mean over seeds, with the
    spread over seeds that they have in common. Any of them suffices: to end a study that learns is worse than to go on
    with one that does not, which the verdict tells on more seeds. Yes also of fewer than `LEAST_RUNS` runs.

    Args:
        values: the metric by trial and seed, larger is better.
        baseline: that of the untrained student or a constant guess, whichever is better.
    """
    runs = [value > baseline for row in values.values() for value in row.values()]
    if len(runs) < LEAST_RUNS or float(stats.binom.sf(sum(runs) - 1, len(runs), 0.5)) < SIGN_ALPHA:
        return True
    means = [fmean(row.values()) - baseline for row in values.values()]
    if len(means) > 1 and fmean(means) > _needed(means, ALPHA):
        return True
    degrees = len(runs) - len(means)
    if degrees < 1:
        return sum(runs) > len(runs) / 2  # one run each: nothing tells their noise, and the verdict has more seeds
    squares = sum(float(np.var(list(row.values()))) * len(row) for row in values.values())
    needed = float(stats.t.isf(ALPHA, degrees)) * math.sqrt(squares / degrees)
    return any(mean > needed / math.sqrt(len(row)) for mean, row in zip(means, values.values(), strict=True))


def _needed(gains: Sequence[float], alpha: float) -> float:
    """What a mean of these must exceed to be above zero."""
    return float(stats.t.isf(alpha, len(gains) - 1)) * float(np.std(gains, ddof=1)) / math.sqrt(len(gains))


def nothing_learned(values: Mapping[str, Mapping[int, float]], baseline: float) -> bool:
    """Whether no confirmed recipe is shown to be above the baseline, though at least one had `LEAST_SEEDS` seeds."""
    rows = [list(row.values()) for row in values.values() if len(row) >= LOOKS[0]]
    if not any(len(row) >= LEAST_SEEDS for row in rows):
        return False
    return not any(_is_above(row, baseline) for row in rows)


def _is_above(row: list[float], baseline: float) -> bool:
    n = max(look for look in LOOKS if look <= len(row))
    finite = [value for value in row[:n] if value != DIVERGED]
    if not finite:
        return False
    gains = np.maximum(row[:n], min(finite)) - baseline
    return float(gains.mean()) > C_TIE[n] * float(gains.std(ddof=1)) / math.sqrt(n)
