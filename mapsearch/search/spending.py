"""What a study has taken, and how many fresh seeds the rest of its budget pays for."""

from collections.abc import Sequence

from mapsearch.core.budget import full_runs
from mapsearch.core.forecast import StageForecast
from mapsearch.core.looks import LOOKS, VISIBLE_GAIN, next_look
from mapsearch.core.runs import FINISHED, Run
from mapsearch.core.spec import StudySpec

N_ASKED = 3
"""Trials that every look runs, at most: the nominee, `none` and `outputs`; `uniform` replaces an answered one."""


def budget_sentence(spec: StudySpec, planned: Sequence[StageForecast]) -> str:
    """How many fresh seeds the budget pays for, and what they can see.

    Args:
        planned: all stages of the study.
    """
    before = sum(s.n_runs * s.n_steps for s in planned if s.stage != "confirm") / spec.train.steps
    n, budget = n_seeds_affordable(spec, before), full_runs(spec.budget)
    gain = f"a gain of {VISIBLE_GAIN[n]:.2g} standard deviations of a paired difference is seen with 80 %"
    return f"a budget of {budget} full runs leaves up to {n} fresh seeds for each question: {gain}"


def spent(spec: StudySpec, runs: Sequence[Run], *, before_confirm: bool = False) -> float:
    """Full-run equivalents of the runs that have ended; those that train for longer (equal time) count as one each."""
    ended = [run for run in runs if run.state in FINISHED and not (before_confirm and run.stage == "confirm")]
    return sum(min(run.n_steps / spec.train.steps, 1.0) for run in ended)


def n_seeds_affordable(spec: StudySpec, spent_before: float) -> int:
    """The look up to which the budget pays for fresh seeds; the first one is always run.

    Args:
        spent_before: full-run equivalents before the confirm stage.
    """
    most, left = next_look(spec.confirm.seeds), full_runs(spec.budget) - spent_before
    return max((n for n in LOOKS if n <= most and N_ASKED * n <= left), default=LOOKS[0])
