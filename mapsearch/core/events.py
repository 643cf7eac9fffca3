"""What happens while a study runs: events of the workers, and messages for whoever watches."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from mapsearch.core.runs import Cohort, RunKey, RunResult
from mapsearch.core.trials import Trial


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
    """An attempt of a run is under way: `step` of `n_steps` done, `loss` at that step.

    `terms` are the weighted terms whose sum is the loss, by name; a final training tells them.
    """

    key: RunKey
    attempt: int
    step: int
    n_steps: int
    loss: float
    terms: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Message:
    """Something worth a line: the stage it belongs to and a sentence."""

    stage: str
    text: str


@dataclass(frozen=True)
class Standing:
    """How far a study is, told whenever one of its runs has ended.

    `n_done` of at most `n_runs` runs have ended; they took `spent` of at most `planned` full-run equivalents. `best`
    is the best proposal so far and `outputs` the control it has to beat, both by their values at the first rung.
    """

    n_done: int
    n_runs: int
    spent: float
    planned: float
    best: Trial | None = None
    outputs: Trial | None = None


Event = RunsStarted | Progress | RunResult | RunsLost | Message
"""What comes back while cohorts are trained."""
