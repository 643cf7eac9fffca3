"""What a study that failed tries again."""

from collections.abc import Collection, Sequence

from mapsearch.core.runs import FINISHED, Run, RunKey, Stage
from mapsearch.core.trials import PROPOSALS, Proposer, Trial


def runs_to_redo(trials: Sequence[Trial], runs: Sequence[Run]) -> list[RunKey]:
    """The runs that a study which failed tries again: all of a stage in which none came through.

    Of a stage that was cut short, so that runs of it wait, the crashed ones are tried again.
    """
    stages: dict[str, list[Run]] = {}
    for run in runs:
        stages.setdefault(_stage_of(run, trials[run.trial]), []).append(run)
    redo: list[RunKey] = []
    for own in stages.values():
        states = {run.state for run in own}
        if "complete" not in states:
            redo += [run.key for run in own if run.state in FINISHED]
        elif "waiting" in states:
            redo += [run.key for run in own if run.state == "crashed"]
    return redo


def crashed(runs: Sequence[Run]) -> list[RunKey]:
    """The runs on fresh seeds that ended without telling anything about their recipe: they are worth another try."""
    return [run.key for run in runs if run.stage == "confirm" and run.state in ("crashed", "oom")]


def trials_to_redo(trials: Sequence[Trial], runs: Sequence[Run], redo: Collection[RunKey]) -> set[int]:
    """The trials whose state and value come from runs that are tried again, whatever the others of them gave."""
    keys = set(redo)
    return {run.trial for run in runs if run.key in keys and run.stage == _deciding_stage(trials[run.trial])}


def _deciding_stage(trial: Trial) -> Stage:
    """The stage whose runs close the trial."""
    deciding: dict[Proposer, Stage] = {"tune": "tune", "matched": "confirm"}
    return deciding.get(trial.proposer, "search")


def _stage_of(run: Run, trial: Trial) -> str:
    """The runs that stand or fall together: those of controls and of proposals apart."""
    if run.stage in ("search", "noise"):
        return "proposals" if trial.proposer in PROPOSALS else "controls"
    return run.stage
