"""What happens while a study runs: events of the workers, and messages for whoever watches."""

from dataclasses import dataclass

from mapsearch.core.runs import Cohort, RunKey, RunResult


@dataclass(frozen=True)
class RunsStarted:
    """A worker began with these runs."""

    plans: Cohort
    worker: str


@dataclass(frozen=True)
class RunsLost:
    """A worker died or could not work; these runs of its cohort have no result."""

    plans: Cohort
    error: str


@dataclass(frozen=True)
class Progress:
    """An attempt of a run is under way: `step` of `n_steps` done, `loss` at that step."""

    key: RunKey
    attempt: int
    step: int
    n_steps: int
    loss: float


@dataclass(frozen=True)
class Message:
    """Something worth a line: the stage it belongs to and a sentence."""

    stage: str
    text: str


Event = RunsStarted | Progress | RunResult | RunsLost | Message
"""What comes back while cohorts are trained."""
