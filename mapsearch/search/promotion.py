"""What runs say of their trials, and which trials go on."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from statistics import fmean

from mapsearch.core.recipe import Recipe
from mapsearch.core.runs import INFEASIBLE, Run, RunPlan
from mapsearch.core.trials import Trial, TrialState
from mapsearch.proposers.controls import OWN_SETTINGS
from mapsearch.search.plans import SEARCH

NOISE = ("uniform", "last", "first", "reverse", "random")
"""The mapping controls whose spread is held against seed noise."""

MOST_SHORTLISTED = 8


def outcome(trial: Trial, runs: Sequence[Run], wanted: Sequence[RunPlan]) -> tuple[TrialState, float | None]:
    """State and value of a trial from the runs wanted of it: infeasible if any was or none could be, else the mean."""
    keys = {p.key for p in wanted if p.trial == trial.number}
    own = [run for run in runs if run.key in keys]
    if not own or any(run.state in INFEASIBLE for run in own):
        return "infeasible", None
    values = [run.value for run in own if run.state == "complete" and run.value is not None]
    return ("complete", fmean(values)) if values else ("crashed", None)


def by_seed(runs: Sequence[Run], rung: int) -> dict[int, dict[int, float]]:
    """The metric of complete runs at a rung: trial -> seed -> value."""
    table: dict[int, dict[int, float]] = {}
    for run in runs:
        if run.rung == rung and run.state == "complete" and run.value is not None:
            table.setdefault(run.trial, {})[run.seed] = run.value
    return table


def noise_table(trials: Sequence[Trial], runs: Sequence[Run]) -> Mapping[int, Mapping[int, float]]:
    """The first rung's values of the noise controls: trial -> seed -> metric."""
    table = by_seed(runs, SEARCH)
    found = [t for t in trials if t.control in NOISE and t.proposer == "control" and t.number in table]
    return {t.number: table[t.number] for t in distinct(found)}


def incumbent(trials: Sequence[Trial], direction: str) -> Trial | None:
    """The best recipe with features so far, among those at settings that the study samples."""
    tried = [t for t in trials if t.proposer != "matched" and t.control not in OWN_SETTINGS]
    found = [t for t in tried if t.state == "complete" and t.recipe.mapping.pairs]
    return max(found, key=lambda t: (gain(t, direction), -t.number), default=None)


def shortlist(trials: Sequence[Trial], direction: str) -> list[Trial]:
    """The best recipes with features by the search, for the first round of the shortlist; of equal ones the first.

    Up to half of the places go to others: to the control `uniform`, which an expert would take without any search, and
    to the best at learning rates that the leaders do not have. What short runs like best, a high rate, may be too
    high for the full schedule, and the controls without features were tuned on longer runs too.
    """
    found = [t for t in trials if t.state == "complete" and t.recipe.mapping.pairs]
    best = distinct(sorted(found, key=lambda t: (-gain(t, direction), t.proposer == "control", t.number)))
    n = n_shortlisted(len(found))
    leaders = best[: math.ceil(n / 2)]
    rates = {t.recipe.lr_factor for t in leaders}
    by_hand = [t for t in best if t.control == "uniform"]
    at_rate = {t.recipe.lr_factor: t for t in reversed(best)}  # the best at each
    others = [t for t in best if t.recipe.lr_factor not in rates and t is at_rate[t.recipe.lr_factor]]
    return distinct([*leaders, *by_hand, *others, *best])[:n]


def n_shortlisted(n_found: int) -> int:
    """How many of so many recipes with features go on: a quarter, between three and `MOST_SHORTLISTED`."""
    return min(MOST_SHORTLISTED, max(3, math.ceil(n_found / 4)))


def n_raced(n_shortlisted: int, n_finalists: int) -> int:
    """How many of the shortlisted run on a second seed: half, and no fewer than run the full schedule."""
    return max(n_finalists, math.ceil(n_shortlisted / 2))


def best_of_round(
    trials: Sequence[Trial], runs: Sequence[Run], keys: Collection[tuple[int, int]], n: int, direction: str
) -> list[Trial]:
    """The best `n` of these trials by their mean over runs at the rungs and seeds of `keys`, best first.

    A trial with a run there that did not complete is out.
    """
    sign = 1.0 if direction == "maximize" else -1.0
    values: dict[int, list[float]] = {}
    broken = {run.trial for run in runs if (run.rung, run.seed) in keys and run.state != "complete"}
    for run in runs:
        if (run.rung, run.seed) in keys and run.value is not None:
            values.setdefault(run.trial, []).append(run.value)
    ranked = [t for t in trials if t.number in values and t.number not in broken]
    return sorted(ranked, key=lambda t: (-sign * fmean(values[t.number]), t.number))[:n]


def distinct(trials: Sequence[Trial]) -> list[Trial]:
    """Of recipes that teach alike the first."""
    first: dict[Recipe, Trial] = {}
    for trial in trials:
        first.setdefault(replace(trial.recipe, mapping=trial.recipe.mapping.normalised()), trial)
    return [*first.values()]


def gain(trial: Trial, direction: str) -> float:
    """The value of a complete trial, its sign turned for a metric that is minimized."""
    assert trial.value is not None
    return trial.value if direction == "maximize" else -trial.value
