"""What runs say of their trials, and which trials go on."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from statistics import fmean

from mapsearch.core.runs import INFEASIBLE, Run, RunPlan
from mapsearch.core.trials import Trial, TrialState
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
    found = [t for t in trials if t.state == "complete" and t.recipe.mapping.pairs and t.control != "article"]
    return max(found, key=lambda t: (gain(t, direction), -t.number), default=None)


def shortlist(trials: Sequence[Trial], direction: str) -> list[Trial]:
    """The best recipes with features by the search, for the first round of the shortlist; of equal ones the first."""
    found = [t for t in trials if t.state == "complete" and t.recipe.mapping.pairs]
    best = sorted(found, key=lambda t: (-gain(t, direction), t.proposer == "control", t.number))
    return distinct(best)[: n_shortlisted(len(found))]


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
    first = {replace(t.recipe, mapping=t.recipe.mapping.normalised()): t for t in reversed(trials)}
    return [t for t in trials if t in first.values()]


def gain(trial: Trial, direction: str) -> float:
    """The value of a complete trial, its sign turned for a metric that is minimized."""
    assert trial.value is not None
    return trial.value if direction == "maximize" else -trial.value
