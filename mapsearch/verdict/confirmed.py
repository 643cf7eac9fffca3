"""What the runs of the confirm stage say: values by seed, in the good direction, failures told apart."""

from collections.abc import Sequence

from mapsearch.core.runs import FINISHED, Run


def confirmed_values(runs: Sequence[Run], direction: str) -> dict[int, dict[int, float]]:
    """The metric by trial and seed, larger is better.

    A run that diverged counts with the worst value seen: to leave its seed out would flatter its recipe.
    """
    sign = 1.0 if direction == "maximize" else -1.0
    own = [run for run in runs if run.stage == "confirm"]
    values = [sign * run.value for run in own if run.value is not None]
    worst, found = min(values, default=0.0), dict[int, dict[int, float]]()
    for run in own:
        if run.value is not None and run.state == "complete":
            found.setdefault(run.trial, {})[run.seed] = sign * run.value
        elif run.state == "diverged":
            found.setdefault(run.trial, {})[run.seed] = worst
    return found


def failed_trials(runs: Sequence[Run]) -> set[int]:
    """Trials with a confirm run that ended without a value: one that crashed, was invalid or had too little memory."""
    lost = {*FINISHED} - {"complete", "diverged"}
    return {run.trial for run in runs if run.stage == "confirm" and run.state in lost}
