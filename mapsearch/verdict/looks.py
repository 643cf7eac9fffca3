"""One question at its looks: a sequential paired t test whose intervals hold whenever somebody looks or stops.

Looks are at declared numbers of fresh seeds. Half-widths are `C[n]` standard errors, wide enough that a difference of
zero is ever called a win by look n with probability `0.025 (1 - 3.5 / n)` a side (repeated confidence intervals,
Jennison and Turnbull 1989, with an error spending function after Lan and DeMets 1983 that never runs out). Ties take
intervals at 0.05 a side (`C_TIE`; two one-sided tests, Schuirmann 1987). The constants are quantiles of simulated null
paths; `benchmarks/verdict.py` holds them against others.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy import stats

from mapsearch.core.looks import LOOKS
from mapsearch.core.verdict import Outcome

C = dict(zip(LOOKS, (6.87, 3.56, 3.30, 3.12, 3.12, 3.10, 3.10, 3.11, 3.15, 3.20, 3.26, 3.31, 3.36), strict=True))
C_TIE = dict(zip(LOOKS, (5.39, 2.91, 2.74, 2.64, 2.67, 2.68, 2.72, 2.76, 2.82, 2.89, 2.95, 3.03, 3.10), strict=True))

LEAST_CHANCE = 0.1
"""A question that no later look decides with at least this probability is not worth more seeds now."""


@dataclass(frozen=True)
class Look:
    """One question after `n_seeds` paired differences.

    `spread` is their standard deviation, at least what the resolution of the metric can hide.
    """

    n_seeds: int
    mean: float
    spread: float
    outcome: Outcome

    @property
    def low(self) -> float:
        """Lower end of the interval that is shown."""
        return self.mean - C[self.n_seeds] * self.spread / math.sqrt(self.n_seeds)

    @property
    def high(self) -> float:
        """Upper end of the interval that is shown."""
        return self.mean + C[self.n_seeds] * self.spread / math.sqrt(self.n_seeds)

    @property
    def p_value(self) -> float:
        """Two-sided p of a paired t test at this look alone."""
        if self.spread == 0:
            return 1.0 if self.mean == 0 else 0.0
        return float(2 * stats.t.sf(abs(self.mean) / self.spread * math.sqrt(self.n_seeds), self.n_seeds - 1))


def look(subject: Sequence[float], control: Sequence[float], margin: float) -> Look:
    """Judge one question by what both got on the same seeds, as many as one of `LOOKS`; larger is better.

    Equal differences of a coarse metric do not mean that there is no noise: the spread is at least what the
    resolution, as these values show it, can hide. Nothing but these values counts, so that a look stays what it was.

    Args:
        margin: differences up to this do not matter.
    """
    d, n = np.subtract(subject, control), len(subject)
    mean, spread = float(d.mean()), max(float(d.std(ddof=1)), _resolution((*subject, *control)) / math.sqrt(6))
    outcome = _outcome(mean, spread / math.sqrt(n), n, margin) if d.any() else "TIES"
    return Look(n, mean, spread, outcome)


def _resolution(values: Sequence[float]) -> float:
    """The smallest gap between two values: 1/400 for the accuracy on 400 samples; 0 if all are equal."""
    distinct = sorted({round(value, 12) for value in values})
    return min((b - a for a, b in pairwise(distinct)), default=0.0)


def _outcome(mean: float, error: float, n: int, margin: float) -> Outcome:
    if abs(mean) + C_TIE[n] * error <= margin:
        return "TIES"
    if abs(mean) > C[n] * error:
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
    edge, degrees = C[n] * now.spread / math.sqrt(n), now.n_seeds - 1
    chance = 1 - stats.t.cdf((edge - now.mean) / tau, degrees) + stats.t.cdf((-edge - now.mean) / tau, degrees)
    width = min(edge, margin - C_TIE[n] * now.spread / math.sqrt(n))
    if width > 0:
        chance += stats.t.cdf((width - now.mean) / tau, degrees) - stats.t.cdf((-width - now.mean) / tau, degrees)
    return float(chance)


def seeds_to_settle(now: Look, margin: float, n_max: int) -> int:
    """Fresh seeds, in all, at which the question would be decided if mean and spread stayed as they are.

    A look beyond `n_max`, up to which it was not decided.

    In simulations 70 % of open questions are decided by then.
    """
    needed = [(3.1 / abs(now.mean)) ** 2] if now.mean else []
    needed += [(2.7 / (margin - abs(now.mean))) ** 2] if abs(now.mean) < margin else []
    n = now.spread**2 * min(needed, default=math.inf)
    return next((look for look in LOOKS if look >= n and look > n_max), LOOKS[-1])
