"""The Executor protocol: what the scheduler needs of a place where workers live."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from mapsearch.core.events import Message, Progress
from mapsearch.core.execution import Execution
from mapsearch.core.outputs import CLASS_SCORES, Outputs
from mapsearch.core.runs import Cohort, RunResult
from mapsearch.core.space import RecipeSpace
from mapsearch.core.task_reference import TaskReference
from mapsearch.core.train_spec import TrainSpec
from mapsearch.distill import CohortSplit


@dataclass(frozen=True)
class Setup:
    """What a worker needs to begin; everything in it can be pickled."""

    task: TaskReference
    train: TrainSpec
    execution: Execution
    device: str
    space: RecipeSpace
    outputs: Outputs = CLASS_SCORES


@dataclass(frozen=True)
class Loading:
    """The worker that may have waited for a place has one, loads the task now, and says its name."""

    worker: str


@dataclass(frozen=True)
class Ready:
    """The worker waits for a cohort; `error` says why the last one could not be trained to its end."""

    error: str = ""


@dataclass(frozen=True)
class LoadFailed:
    """The worker could not load the task."""

    error: str


@dataclass(frozen=True)
class WorkerDied:
    """The worker is gone, and nothing more will come from it."""

    error: str


WorkerMessage = Loading | Ready | LoadFailed | WorkerDied | CohortSplit | Progress | RunResult | Message
"""What comes from a worker."""


class Executor(Protocol):
    """Keeps at most one worker in each of `n_workers` slots, numbered from 0.

    It moves cohorts and messages and decides nothing: when to start, retry, split or give up is the scheduler's.
    """

    @property
    def n_workers(self) -> int:
        """The number of slots."""

    def start(self, slot: int) -> str:
        """Start a worker in an empty slot and give its name; one that may have to wait for a place has none yet.

        Such a one says `Loading` once it has it. All say `Ready` once the task is loaded.
        """

    def send(self, slot: int, cohort: Cohort) -> None:
        """Let the worker, which is ready, train the cohort."""

    def poll(self, seconds: float) -> Sequence[tuple[int, WorkerMessage]]:
        """The messages that have come, by slot; waits at most so long for the first."""

    def stop(self, slot: int) -> None:
        """End the slot's worker, whatever it is doing; no message of it comes afterwards."""

    def close(self) -> None:
        """Stop all workers."""
