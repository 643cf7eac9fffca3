"""One question at its looks: a sequential paired t test whose intervals hold whenever somebody looks or stops.

Looks are at declared numbers of fresh seeds. Half-widths are `C[n]` standard errors, wide enough that a difference of
zero is ever called a win by look n with probability `0.025 (1 - 3.5 / n)` a side (repeated confidence intervals,
Jennison and Turnbull 1989, with an error spending function after Lan and DeMets 1983 that never runs out). Ties take
intervals at 0.05 a side (`C_TIE`; two one-sided tests, Schuirmann 1987). The constants are quantiles of simulated null
paths (`benchmarks/look_constants.py`); `benchmarks/verdict.py` holds them against others.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy import stats

from mapsearch.core.looks import ERROR_SHARES, LOOKS
from mapsearch.core.verdict import Outcome

_ROWS = (
    (5.39, 2.91, 2.74, 2.64, 2.67, 2.68, 2.72, 2.76, 2.82, 2.89, 2.95, 3.03, 3.10),
    (6.90, 3.56, 3.30, 3.12, 3.12, 3.10, 3.10, 3.11, 3.15, 3.20, 3.26, 3.31, 3.36),
    (8.77, 4.27, 3.88, 3.59, 3.54, 3.48, 3.45, 3.44, 3.45, 3.48, 3.52, 3.57, 3.61),
    (11.11, 5.07, 4.50, 4.07, 3.97, 3.85, 3.79, 3.74, 3.73, 3.74, 3.77, 3.81, 3.85),
    (14.05, 5.95, 5.16, 4.56, 4.38, 4.22, 4.12, 4.03, 4.01, 4.00, 4.01, 4.04, 4.07),
    (17.74, 6.95, 5.86, 5.05, 4.81, 4.56, 4.43, 4.31, 4.27, 4.24, 4.23, 4.26, 4.26),
    (22.38, 8.09, 6.63, 5.58, 5.22, 4.92, 4.74, 4.60, 4.50, 4.47, 4.44, 4.46, 4.45),
    (28.22, 9.42, 7.45, 6.12, 5.67, 5.29, 5.05, 4.88, 4.74, 4.69, 4.66, 4.64, 4.66),
)  # fmt: skip
CONSTANTS = {share: dict(zip(LOOKS, row, strict=True)) for share, row in zip((2.0, *ERROR_SHARES), _ROWS, strict=True)}
"""Standard errors in half an interval, by the share of 0.025 a side that may be spent and the number of seeds."""

C, C_TIE = CONSTANTS[1.0], CONSTANTS[2.0]

LEAST_CHANCE = 0.1
"""A question that no later look decides with at least this probability is not worth more seeds now."""


@dataclass(frozen=True)
class Look:
    """One question after `n_seeds` paired differences.

    `spread` is their standard deviation, at least what the resolution of the metric can hide; `share` that of the
    study's error which the question may spend.
    """

    n_seeds: int
    mean: float
    spread: float
    outcome: Outcome
    share: float = 1.0

    @property
    def low(self) -> float:
        """Lower end of the interval that is shown."""
        return self.mean - half_width(self.spread, self.n_seeds, self.share)

    @property
    def high(self) -> float:
        """Upper end of the interval that is shown."""
        return self.mean + half_width(self.spread, self.n_seeds, self.share)

    @property
    def p_value(self) -> float:
        """Two-sided p of a paired t test at this look alone."""
        if self.spread == 0:
            return 1.0 if self.mean == 0 else 0.0
        return float(2 * stats.t.sf(abs(self.mean) / self.spread * math.sqrt(self.n_seeds), self.n_seeds - 1))


def half_width(spread: float, n: int, share: float, *, tie: bool = False) -> float:
    """Half the width of the interval after `n` seeds, or of the narrower one that ties are told by."""
    return CONSTANTS[2 * share if tie else share][n] * spread / math.sqrt(n)


def look(subject: Sequence[float], control: Sequence[float], margin: float, share: float = 1.0) -> Look:
    """Judge one question by what both got on the same seeds, as many as one of `LOOKS`; larger is better.

    Equal differences of a coarse metric do not mean that there is no noise: the spread is at least what the
    resolution, as these values show it, can hide. Nothing but these values counts, so that a look stays what it was.

    Args:
        margin: differences up to this do not matter.
        share: of the study's error that this question may spend, one of `ERROR_SHARES`.
    """
    d, n = np.subtract(subject, control), len(subject)
    mean, spread = float(d.mean()), max(float(d.std(ddof=1)), _resolution((*subject, *control)) / math.sqrt(6))
    outcome = _outcome(mean, spread, n, margin, share) if d.any() else "TIES"
    return Look(n, mean, spread, outcome, share)


def _resolution(values: Sequence[float]) -> float:
    """The smallest gap between two values: 1/400 for the accuracy on 400 samples; 0 if all are equal."""
    distinct = sorted({round(value, 12) for value in values})
    return min((b - a for a, b in pairwise(distinct)), default=0.0)


def _outcome(mean: float, spread: float, n: int, margin: float, share: float) -> Outcome:
    if abs(mean) + half_width(spread, n, share, tie=True) <= margin:
        return "TIES"
    if abs(mean) > half_width(spread, n, share):
        return "BEATS" if mean > 0 else "WORSE"
    return "INCONCLUSIVE"


def is_futile(now: Look, n_max: int, margin: float) -> bool:
    """Whether no later look up to `n_max` decides the question with at least `LEAST_CHANCE`; from six seeds on."""
    later = [n for n in LOOKS if now.n_seeds < n <= n_max]
    return now.n_seeds >= 6 and all(chance_to_decide(now, n, margin) < LEAST_CHANCE for n in later)


def chance_to_decide(now: Look, n: int, margin: float) -> float:
    """The probability that the look at `n` seeds decides the question, given those so far (predictive, flat prior)."""
    if now.spread == 0:
        return 1.0
    tau = now.spread * math.sqrt((n - now.n_seeds) / (n * now.n_seeds))
    edge, degrees = half_width(now.spread, n, now.share), now.n_seeds - 1
    chance = 1 - stats.t.cdf((edge - now.mean) / tau, degrees) + stats.t.cdf((-edge - now.mean) / tau, degrees)
    width = min(edge, margin - half_width(now.spread, n, now.share, tie=True))
    if width > 0:
        chance += stats.t.cdf((width - now.mean) / tau, degrees) - stats.t.cdf((-width - now.mean) / tau, degrees)
    return float(chance)


def seeds_to_settle(now: Look, margin: float, n_max: int) -> int:
    """Fresh seeds, in all, at which the question would be decided if mean and spread stayed as they are.

    A look beyond `n_max`, up to which it was not decided.

    In simulations 70 % of open questions are decided by then.
    """
    later = (n for n in LOOKS if n > max(n_max, now.n_seeds))
    return next((n for n in later if _outcome(now.mean, now.spread, n, margin, now.share) != "INCONCLUSIVE"), LOOKS[-1])
