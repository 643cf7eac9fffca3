"""What the runs of the confirm stage say: values by seed, in the good direction, failures told apart."""

import math
from collections.abc import Mapping, Sequence

from mapsearch.core.runs import FINISHED, Run

Values = Mapping[int, float]
"""The metric of one trial by seed, in the good direction: larger is better."""

DIVERGED = -math.inf
"""The value of a run that diverged: it is one, and to leave its seed out would flatter its recipe."""


def confirmed_values(runs: Sequence[Run], direction: str) -> dict[int, dict[int, float]]:
    """The metric by trial and seed, larger is better; `DIVERGED` where a run did."""
    sign, found = 1.0 if direction == "maximize" else -1.0, dict[int, dict[int, float]]()
    for run in runs:
        if run.stage == "confirm" and run.state in ("complete", "diverged"):
            value = DIVERGED if run.value is None else sign * run.value
            found.setdefault(run.trial, {})[run.seed] = value
    return found


def failed_trials(runs: Sequence[Run]) -> set[int]:
    """Trials with a confirm run that ended without a value: one that crashed, was invalid or had too little memory."""
    lost = {*FINISHED} - {"complete", "diverged"}
    return {run.trial for run in runs if run.stage == "confirm" and run.state in lost}


def paired(subject: Values, control: Values, seeds: Sequence[int]) -> tuple[list[float], list[float]]:
    """The values of both on these seeds; a run that diverged has the worst that either has on them.

    Nothing but these runs counts, so that what was once said of them stays so when more are trained.
    """
    one, other = ([values[seed] for seed in seeds] for values in (subject, control))
    worst = min((value for value in (*one, *other) if value != DIVERGED), default=0.0)
    return [max(value, worst) for value in one], [max(value, worst) for value in other]
