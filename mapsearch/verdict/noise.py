"""Seed noise beside the differences between mappings."""

import math
from collections.abc import Mapping

import numpy as np
from scipy import stats

from mapsearch.core.verdict import Noise

ALPHA = 0.05


def estimate_noise(values: Mapping[int, Mapping[int, float]]) -> Noise | None:
    """Seed noise beside the spread between mappings, from mappings run on the same seeds.

    Two-way analysis of variance without replication: `seed_sd` is one run's standard deviation over
    seeds, `mapping_sd` the part of the spread between mappings that their seed-by-mapping residual
    does not explain; `flat` when the F test of the mappings gives p > 0.05.

    Args:
        values: the metric by trial and seed.

    Returns:
        None with fewer than two mappings or two common seeds.
    """
    seeds = sorted(set.intersection(*(set(row) for row in values.values()))) if values else []
    if len(values) < 2 or len(seeds) < 2:
        return None
    table = np.array([[row[seed] for seed in seeds] for row in values.values()])  # [mappings, seeds]
    m, n = table.shape
    mappings, columns = table.mean(1, keepdims=True), table.mean(0, keepdims=True)
    rounding = (1e-12 * float(np.abs(table).max())) ** 2
    residual, between = (
        variance if variance > rounding else 0.0
        for variance in (
            float(np.square(table - mappings - columns + table.mean()).sum() / ((m - 1) * (n - 1))),
            float(n * np.square(mappings - table.mean()).sum() / (m - 1)),
        )
    )
    p = float(stats.f.sf(between / residual, m - 1, (m - 1) * (n - 1))) if residual > 0 else float(between == 0)
    mapping_sd = math.sqrt(max(0.0, between - residual) / n)
    seed_sd = float(np.sqrt(table.var(1, ddof=1).mean()))
    return Noise(seed_sd, mapping_sd, p > ALPHA, _upper_limit(between, residual, m, n))


def _upper_limit(between: float, residual: float, m: int, n: int) -> float:
    """One-sided upper 95 % limit of the standard deviation between `m` mappings (Williams 1962)."""
    between = max(between, residual)  # less spread than none is no evidence for less than none
    if between == 0:
        return 0.0
    lowest = float(stats.f.ppf(ALPHA, m - 1, (m - 1) * (n - 1))) * residual / between
    return math.sqrt(max(0.0, (m - 1) * between * (1 - lowest)) / (n * float(stats.chi2.ppf(ALPHA, m - 1))))
