"""STEP: confirmed runs -> Verdict."""

from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean, median, stdev

import numpy as np

from mapsearch.core.runs import Run
from mapsearch.core.trials import Trial
from mapsearch.core.verdict import Against, Noise, Outcome, Verdict
from mapsearch.verdict.statistics import ALPHA, adjusted_p_values, bca_interval
from mapsearch.verdict.warnings import failed_nominee, not_judged
from mapsearch.verdict.wording import recommendation, verdict_sentence

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
    warnings: Sequence[str] = (),
) -> Verdict:
    """The verdict of the nominee against every control.

    Args:
        runs: those of the confirm stage; only complete ones count, paired by seed.
        nominee: the trial picked before any of these runs was seen; None if the search found none.
        controls: trial number by control name.
        margin: differences up to this are a tie; None takes one seed's standard deviation.
        warnings: what else to heed; the verdict's own are added.
    """
    by_number = {trial.number: trial for trial in trials}
    values = _confirmed_values(runs, direction)
    rivals = {name: number for name, number in controls.items() if number != nominee}
    if nominee is not None and nominee in _failed(runs):
        warnings, nominee = (*warnings, failed_nominee(nominee)), None
    own = values.get(nominee, {}) if nominee is not None else {}
    band = margin if margin is not None else _seed_sd(values.values())
    rival_values = {name: values.get(number, {}) for name, number in rivals.items()}
    against = judge_controls(own, rival_values, rivals, band, margin or 0.0)
    warnings = (*warnings, *not_judged(rivals, against))
    if nominee is None or not against:
        recommended = _cheapest(by_number, values, band)
        sentence = f"INCONCLUSIVE: no mapping could be confirmed; {recommendation(by_number, recommended)}"
        return Verdict(sentence, None, recommended, noise, (), warnings)
    beaten = {row.trial for row in against if row.outcome == "BEATS"}
    recommended = _cheapest(by_number, {n: row for n, row in values.items() if n not in beaten}, band)
    sentence = f"{verdict_sentence(by_number[nominee], against)}; {recommendation(by_number, recommended)}"
    return Verdict(sentence, nominee, recommended, noise, against, warnings)


def judge_controls(
    nominee: Values, controls: Mapping[str, Values], trials: Mapping[str, int], band: float, margin: float = 0.0
) -> tuple[Against, ...]:
    """The nominee against each control on the seeds both have finished.

    BEATS and WORSE need an adjusted p below 0.05, an interval on one side of zero that reaches beyond
    the `margin`, and six seeds; TIES six seeds and an interval inside `[-band, band]`; all else is INCONCLUSIVE.

    Args:
        trials: trial number by control name.
        margin: what the user calls too small to matter, 0 if nothing was said.
    """
    seeds = {name: sorted(nominee.keys() & values.keys()) for name, values in controls.items()}
    differences = {
        name: np.array([nominee[seed] - controls[name][seed] for seed in seeds[name]])
        for name in controls
        if len(seeds[name]) >= 2
    }
    p_values = adjusted_p_values(differences, seeds)
    rows = []
    for name, d in differences.items():
        low, high = bca_interval(d)
        outcome = _outcome(low, high, p_values[name], len(d), band, margin)
        gain, low, high = map(_without_rounding_dust, (float(d.mean()), low, high))
        rows.append(Against(name, trials[name], outcome, gain, low, high, p_values[name], len(d)))
    return tuple(rows)


def _confirmed_values(runs: Sequence[Run], direction: str) -> dict[int, dict[int, float]]:
    """Metric by trial and seed of the confirm stage, larger is better; trials that failed on a seed are left out."""
    sign, failed = 1.0 if direction == "maximize" else -1.0, _failed(runs)
    values: dict[int, dict[int, float]] = {}
    for run in runs:
        if run.stage == "confirm" and run.trial not in failed and run.value is not None:
            values.setdefault(run.trial, {})[run.seed] = sign * run.value
    return values


def _failed(runs: Sequence[Run]) -> set[int]:
    """Trials with a run of the confirm stage that did not complete."""
    return {run.trial for run in runs if run.stage == "confirm" and run.state != "complete"}


def _outcome(low: float, high: float, p_value: float, n_seeds: int, band: float, margin: float) -> Outcome:
    matters = (low > 0 or high < 0) and not (-margin <= low and high <= margin)
    if p_value < ALPHA and n_seeds >= LEAST_SEEDS and matters:
        return "BEATS" if low > 0 else "WORSE"
    return "TIES" if n_seeds >= LEAST_SEEDS and -band <= low and high <= band else "INCONCLUSIVE"


def _without_rounding_dust(value: float) -> float:
    """So that equal runs differ by 0 and not by 1e-17."""
    return round(value, 12) + 0.0


def _seed_sd(values: Iterable[Values]) -> float:
    """One seed's standard deviation: the median over trials, so that one unsteady recipe does not widen every tie."""
    deviations = [stdev(row.values()) for row in values if len(row) >= 2]
    return median(deviations) if deviations else 0.0


def _cheapest(trials: Mapping[int, Trial], values: Mapping[int, Values], band: float) -> int | None:
    """The cheapest of these trials whose mean lies within the tie band of their best mean.

    Cost: fewer pairs first, then no teacher outputs, then the better mean.
    """
    if not values:
        return None
    means = {number: fmean(row.values()) for number, row in values.items()}
    best = max(means.values())
    tied = [number for number, mean in means.items() if mean >= best - band]
    return min(tied, key=lambda n: (len(trials[n].recipe.mapping.pairs), trials[n].recipe.uses_outputs, -means[n]))
