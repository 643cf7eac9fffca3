"""Differences between paired runs that stand apart from the others."""

from collections.abc import Mapping
from statistics import median

ROBUST_SD = 1.48
"""Times the median absolute deviation: the standard deviation of a normal distribution."""

FAR = 5.0
"""A difference beyond so many robust standard deviations of the median is told."""


def odd_seed(differences: Mapping[int, float]) -> int | None:
    """The seed whose difference stands farthest apart from all others, None if none does."""
    middle = median(differences.values())
    away = {seed: abs(value - middle) for seed, value in differences.items()}
    limit = FAR * ROBUST_SD * median(away.values())
    seed = max(away, key=lambda seed: away[seed])
    return seed if away[seed] > limit > 0 else None
