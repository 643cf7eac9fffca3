"""How the students of a cohort take their steps: one after the other, or as `ReplayedSteps`."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

from mapsearch.core.runs import RunResult
from mapsearch.core.train_spec import TrainSpec
from mapsearch.tasks.loaded_task import LoadedTask
from mapsearch.training.step import train_step
from mapsearch.training.student import StudentTraining
from mapsearch.training.teacher_batches import TeacherBatch


class Steps(Protocol):
    """The steps of one cohort."""

    def on(self, parts: Sequence[TeacherBatch], step: int) -> AbstractContextManager[None]:
        """All students take this step within, on these inputs."""

    def lane(self, training: StudentTraining) -> AbstractContextManager[None]:
        """Where the student's step takes place."""

    def take(self, training: StudentTraining, parts: Sequence[TeacherBatch], step: int) -> RunResult | None:
        """One step of one student; a result when its run cannot go on."""


class OrdinarySteps:
    """Every operation launched from Python, one student after the other."""

    def __init__(self, loaded: LoadedTask, train: TrainSpec) -> None:
        self._loaded, self._train = loaded, train

    def on(self, parts: Sequence[TeacherBatch], step: int) -> AbstractContextManager[None]:
        """All students take this step within, on these inputs."""
        return nullcontext()

    def lane(self, training: StudentTraining) -> AbstractContextManager[None]:
        """Where the student's step takes place."""
        return nullcontext()

    def take(self, training: StudentTraining, parts: Sequence[TeacherBatch], step: int) -> RunResult | None:
        """One step of one student; a result when its run cannot go on."""
        return train_step(self._loaded, self._train, training, parts, step)
