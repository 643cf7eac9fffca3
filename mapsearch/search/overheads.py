"""What recipes cost, smoothed: the times of a few steps follow the machine's load more than the recipe."""

import math
from collections.abc import Sequence
from statistics import median

import numpy as np
from scipy.optimize import least_squares

from mapsearch.core.overheads import Overheads, parts_of
from mapsearch.core.runs import Run
from mapsearch.core.trials import Trial

RIDGE = 1e-3
"""Weight at which parts that always occur together share what they cost; it hardly moves what a recipe costs."""

USUAL_ERROR = 0.05
"""Times that are farther off than this count less and less: another program ran beside."""

POLISHES = 10


def fit_overheads(trials: Sequence[Trial], runs: Sequence[Run]) -> Overheads | None:
    """Costs of losses, student and teacher layers that explain the times of recipes beside that of `outputs`.

    Features add work and take none away, so that no cost is negative. A robust least-squares fit
    (`scipy.optimize.least_squares`, soft L1). None where no recipe with features has a run in common with `outputs`.
    """
    times = _relative_times(trials, runs)
    if not times:
        return None
    recipes = {t.number: parts_of(t.recipe.to_json()) for t in trials if t.number in times}
    names = sorted({part for parts in recipes.values() for part in parts})
    design = np.array([[parts[name] for name in names] for parts in recipes.values()], dtype=float)
    extra, n_runs = (np.array(column) for column in zip(*(times[number] for number in recipes), strict=True))
    weights = np.sqrt(n_runs)
    matrix = np.vstack([weights[:, None] * design, RIDGE * np.eye(len(names))])
    costs = _robust_fit(matrix, np.concatenate([weights * (extra - 1.0), np.zeros(len(names))]))
    return Overheads(dict(zip(names, costs, strict=True)))


def _robust_fit(matrix: np.ndarray, target: np.ndarray) -> list[float]:
    """The non-negative `x` that brings `matrix @ x` near to the target, whatever a few outliers say."""

    def residuals(x: np.ndarray) -> np.ndarray:
        residual: np.ndarray = matrix @ x - target
        return residual

    def jacobian(x: np.ndarray) -> np.ndarray:
        return matrix

    start = np.full(matrix.shape[1], 1e-3)
    fit = least_squares(residuals, start, jacobian, (0, math.inf), loss="soft_l1", f_scale=USUAL_ERROR)
    return [float(x) for x in fit.x]


def _relative_times(trials: Sequence[Trial], runs: Sequence[Run]) -> dict[int, tuple[float, int]]:
    """Each recipe's time over that of `outputs`, and from how many runs; by trial, those with features only.

    Runs of equal rung and seed have a time in common, recipes a factor; both are found by turns, as medians, so that
    no single run of `outputs` decides (median polish, Tukey 1977, of logarithms).
    """
    outputs = next((t.number for t in trials if t.control == "outputs"), None)
    taking_part = {t.number for t in trials if t.recipe.mapping.pairs} | {outputs}
    logs: dict[int, dict[tuple[int, int], float]] = {}
    for run in runs:
        if run.state == "complete" and run.result and run.result.seconds > 0 and run.trial in taking_part:
            logs.setdefault(run.trial, {})[run.rung, run.seed] = math.log(run.result.seconds)
    if outputs not in logs or not any(logs[outputs].keys() & own.keys() for n, own in logs.items() if n != outputs):
        return {}
    factors = dict.fromkeys(logs, 0.0)
    for _ in range(POLISHES):
        left: dict[tuple[int, int], list[float]] = {}
        for number, own in logs.items():
            for key, log in own.items():
                left.setdefault(key, []).append(log - factors[number])
        common = {key: median(values) for key, values in left.items()}
        factors = {number: median(log - common[key] for key, log in own.items()) for number, own in logs.items()}
    return {n: (math.exp(factors[n] - factors[outputs]), len(own)) for n, own in logs.items() if n != outputs}
