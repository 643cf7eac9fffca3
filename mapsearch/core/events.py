"""What happens while a study runs: events of the workers, and messages for whoever watches."""

from dataclasses import dataclass

from mapsearch.core.runs import RunKey, RunResult


@dataclass(frozen=True)
class RunsStarted:
    """A worker began with these runs."""

    keys: tuple[RunKey, ...]
    worker: str


@dataclass(frozen=True)
class RunsLost:
    """A worker died or could not work; these runs of its cohort have no result."""

    keys: tuple[RunKey, ...]
    error: str


@dataclass(frozen=True)
class Progress:
    """A run is under way: `step` of `n_steps` done, `loss` at that step."""

    key: RunKey
    step: int
    n_steps: int
    loss: float


@dataclass(frozen=True)
class Message:
    """Something worth a line: the stage it belongs to and a sentence."""

    stage: str
    text: str


Event = RunsStarted | Progress | RunResult | RunsLost
"""What comes back while cohorts are trained."""
