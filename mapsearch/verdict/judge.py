"""STEP: confirmed runs -> Verdict, in words and numbers."""

import itertools
import math
import warnings
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean, median, stdev

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from mapsearch.core.runs import Run
from mapsearch.core.trials import Trial
from mapsearch.core.verdict import Against, Noise, Outcome, Verdict

ALPHA = 0.05
LEAST_SEEDS = 6
"""Two-sided sign flips of five seeds cannot come below 2 / 2^5 = 0.0625, those of six reach 0.031."""

Values = Mapping[int, float]
"""The metric of one trial by seed, in the good direction: larger is better."""


def judge(
    trials: Sequence[Trial],
    runs: Sequence[Run],
    nominee: int | None,
    controls: Mapping[str, int],
    direction: str,
    noise: Noise | None,
    margin: float | None,
    notes: Sequence[str] = (),
) -> Verdict:
    """The verdict of the nominee against every control.

    Args:
        runs: those of the confirm stage; only complete ones count, paired by seed.
        nominee: the trial picked before any of these runs was seen; None if the search found none.
        controls: trial number by control name.
        margin: differences up to this are a tie; None takes one seed's standard deviation.
    """
    sign = 1.0 if direction == "maximize" else -1.0
    values: dict[int, dict[int, float]] = {}
    for run in runs:
        if run.stage == "confirm" and run.state == "complete" and run.value is not None:
            values.setdefault(run.trial, {})[run.seed] = sign * run.value
    by_number = {trial.number: trial for trial in trials}
    others = {name: number for name, number in controls.items() if number != nominee}
    broken = {run.trial for run in runs if run.stage == "confirm" and run.state != "complete"}
    if nominee in broken:  # the seeds that went well would flatter it
        notes = (*notes, f"the nominee (trial {nominee}) failed on some fresh seeds: see `mapsearch show`")
        nominee = None
    values = {number: v for number, v in values.items() if number not in broken}
    own = values.get(nominee, {}) if nominee is not None else {}
    band = margin if margin is not None else _seed_sd(values.values())
    against = compare_all(
        own, {name: values.get(number, {}) for name, number in others.items()}, others, band, margin or 0.0
    )
    cautions = (*notes, *_not_compared(others, against))
    if nominee is None or not against:
        recommended = _cheapest(by_number, values, band)
        sentence = f"INCONCLUSIVE: no mapping could be confirmed; {_recommendation(by_number, recommended)}"
        return Verdict(sentence, None, recommended, noise, (), cautions)
    beaten = {row.trial for row in against if row.outcome == "BEATS"}
    recommended = _cheapest(by_number, {n: v for n, v in values.items() if n not in beaten}, band)
    sentence = f"{_sentence(by_number[nominee], against)}; {_recommendation(by_number, recommended)}"
    return Verdict(sentence, nominee, recommended, noise, against, cautions)


def compare_all(
    nominee: Values, controls: Mapping[str, Values], trials: Mapping[str, int], band: float, margin: float = 0.0
) -> tuple[Against, ...]:
    """The nominee against each control on the seeds both have finished.

    BEATS and WORSE need an adjusted p below 0.05, an interval on one side of zero that reaches beyond
    the `margin`, and six seeds; TIES six seeds and an interval inside `[-band, band]`; all else is INCONCLUSIVE.

    Args:
        margin: what the user calls too small to matter, 0 if nothing was said.
    """
    seeds = {name: sorted(nominee.keys() & values.keys()) for name, values in controls.items()}
    differences = {
        name: np.array([nominee[seed] - controls[name][seed] for seed in seeds[name]])
        for name in controls
        if len(seeds[name]) >= 2
    }
    p_values = adjusted_p_values(differences, seeds)
    found = []
    for name, d in differences.items():
        low, high = bca_interval(d)
        outcome = _outcome(low, high, p_values[name], len(d), band, margin)
        found.append(
            Against(
                name, trials[name], outcome, _clean(float(d.mean())), _clean(low), _clean(high), p_values[name], len(d)
            )
        )
    return tuple(found)


def adjusted_p_values(
    differences: Mapping[str, NDArray[np.float64]], seeds: Mapping[str, Sequence[int]]
) -> dict[str, float]:
    """Two-sided p-values of paired differences, adjusted for all controls at once.

    Step-down maxT (Westfall and Young 1993, algorithm 4.1) over all sign flips of the seeds: under
    the null the nominee and a control may be swapped seed by seed, and a swap flips that seed's
    difference. Each p-value is exact; the joint adjustment is close (swapping with one control leaves
    the others; simulated family-wise error under 5 %). Without Holm's factor, which six seeds could
    never pay: Holm needs p < 0.05 / 12, sign flips of six seeds give 2 / 64 at best.
    """
    names = list(differences)
    union = sorted({seed for name in names for seed in seeds[name]})
    signs = np.array(list(itertools.product((1.0, -1.0), repeat=len(union))))  # [2^n, n]
    columns = {name: [union.index(seed) for seed in seeds[name]] for name in names}
    flipped = {name: _t(signs[:, columns[name]] * differences[name]) for name in names}  # each [2^n]
    adjusted: dict[str, float] = {}
    left = sorted(names, key=lambda name: -flipped[name][0])
    reached = 0.0
    while left:
        name, largest = left[0], np.max([flipped[other] for other in left], axis=0)
        reached = max(reached, float(np.mean(largest >= flipped[name][0] - 1e-9)))
        adjusted[name] = reached
        left = left[1:]
    return adjusted


def bca_interval(differences: NDArray[np.float64]) -> tuple[float, float]:
    """The 95 % bias-corrected and accelerated bootstrap interval of the mean (Efron 1987)."""
    if np.ptp(differences) < 1e-12:
        return float(differences.mean()), float(differences.mean())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a degenerate resample falls back below
        found = stats.bootstrap((differences,), np.mean, confidence_level=1 - ALPHA, rng=np.random.default_rng(0))
    low, high = found.confidence_interval
    if math.isfinite(low) and math.isfinite(high):
        return float(low), float(high)
    return float(differences.min()), float(differences.max())


def estimate_noise(values: Mapping[int, Values]) -> Noise | None:
    """Seed noise beside the spread between mappings, from mappings run on the same seeds.

    Two-way analysis of variance without replication: `seed_sd` is one run's standard deviation over
    seeds, `mapping_sd` the part of the spread between mappings that their seed-by-mapping residual
    does not explain; `flat` when the F test of the mappings gives p > 0.05.
    Returns None with fewer than two mappings or two common seeds.
    """
    seeds = sorted(set.intersection(*(set(v) for v in values.values()))) if values else []
    if len(values) < 2 or len(seeds) < 2:
        return None
    table = np.array([[v[seed] for seed in seeds] for v in values.values()])  # [mappings, seeds]
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
    return Noise(float(np.sqrt(table.var(1, ddof=1).mean())), mapping_sd, p > ALPHA)


def weak_teacher(teacher: float, trials: Sequence[Trial], runs: Sequence[Run], direction: str) -> list[str]:
    """A caution when the teacher is no better than students trained without it, on the validation data."""
    alone = {trial.number for trial in trials if not trial.recipe.uses_teacher}
    values = [run.value for run in runs if run.trial in alone and run.split == "valid" and run.value is not None]
    if not values:
        return []
    best = max(values) if direction == "maximize" else min(values)
    if (teacher > best) if direction == "maximize" else (teacher < best):
        return []
    return [
        f"the teacher ({teacher:.4g}) is no better than a student without it ({best:.4g}): check its weights and inputs"
    ]


def _t(differences: NDArray[np.float64]) -> NDArray[np.float64]:
    """|t| of each row of `[flips, n]`; equal differences give a very large but finite value."""
    n = differences.shape[1]
    spread = differences.std(1, ddof=1)
    floor = 1e-9 * np.abs(differences).max(initial=1e-300)
    t: NDArray[np.float64] = np.abs(differences.mean(1)) / (np.maximum(spread, floor) / math.sqrt(n))
    return t


def _not_compared(controls: Mapping[str, int], against: Sequence[Against]) -> list[str]:
    missing = sorted(controls.keys() - {row.control for row in against})
    why = "needs two finished seeds in common with the nominee"
    return [f"no comparison with control {', '.join(f'`{name}`' for name in missing)}: it {why}"] if missing else []


def _outcome(low: float, high: float, p_value: float, n_seeds: int, band: float, margin: float) -> Outcome:
    matters = (low > 0 or high < 0) and not (-margin <= low and high <= margin)
    if p_value < ALPHA and n_seeds >= LEAST_SEEDS and matters:
        return "BEATS" if low > 0 else "WORSE"
    return "TIES" if n_seeds >= LEAST_SEEDS and -band <= low and high <= band else "INCONCLUSIVE"


def _clean(value: float) -> float:
    """Without the dust of rounding, so that equal runs differ by 0 and not by 1e-17."""
    return round(value, 12) + 0.0


def _seed_sd(values: Iterable[Values]) -> float:
    """One seed's standard deviation: the median over trials, so that one unsteady recipe does not widen every tie."""
    deviations = [stdev(v.values()) for v in values if len(v) >= 2]
    return median(deviations) if deviations else 0.0


def _cheapest(trials: Mapping[int, Trial], values: Mapping[int, Values], band: float) -> int | None:
    """The cheapest of these trials whose mean lies within the tie band of their best mean.

    Cost: fewer pairs first, then no teacher logits, then the better mean.
    """
    if not values:
        return None
    means = {number: fmean(v.values()) for number, v in values.items()}
    best = max(means.values())
    tied = [number for number, mean in means.items() if mean >= best - band]
    return min(tied, key=lambda n: (len(trials[n].recipe.mapping.pairs), trials[n].recipe.uses_logits, -means[n]))


def _sentence(nominee: Trial, against: Sequence[Against]) -> str:
    said = []
    for outcome in ("BEATS", "TIES", "WORSE", "INCONCLUSIVE"):
        names = [f"{a.control} ({a.difference:+.3g})" for a in against if a.outcome == outcome]
        if names:
            link = {"WORSE": "is WORSE than", "INCONCLUSIVE": "is INCONCLUSIVE against"}.get(outcome, outcome)
            said.append(f"{link} {', '.join(names)}")
    who = f"the hand-made mapping `{nominee.control}`" if nominee.control else "the best searched mapping"
    return f"{who} (trial {nominee.number}) {'; '.join(said)}"


def _recommendation(trials: Mapping[int, Trial], recommended: int | None) -> str:
    if recommended is None:
        return "nothing to recommend"
    trial = trials[recommended]
    what = f"{trial.control}, " if trial.control else ""
    why = "" if trial.recipe.mapping.pairs else ": no mapping is worth its cost here, use the cheap one"
    return f"recommended: trial {recommended} ({what}{trial.recipe}), the cheapest within the tie band of the best{why}"
