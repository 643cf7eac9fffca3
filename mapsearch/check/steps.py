"""A student trained on one batch that is used again and again, by the very step that the study's runs take."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mapsearch.core.recipe import Recipe
from mapsearch.core.runs import RunPlan
from mapsearch.core.space import RecipeSpace
from mapsearch.core.spec import StudySpec
from mapsearch.core.train_spec import TrainSpec
from mapsearch.tasks.loaded_task import LoadedTask
from mapsearch.training.step import loss_terms, train_step
from mapsearch.training.student import StudentTraining, open_student
from mapsearch.training.teacher_batches import (
    TeacherBatch,
    TeacherPass,
    open_teacher,
    teacher_batch,
    teacher_names,
)


@dataclass
class Steps:
    """A fresh student with all that trains it, and the batch with the teacher's outputs."""

    training: StudentTraining
    taught: TeacherBatch
    _loaded: LoadedTask
    _train: TrainSpec
    _teacher: TeacherPass
    _n_done: int = 0

    def teach(self) -> None:
        """Run the teacher on the batch once more."""
        self.taught = teacher_batch(self._loaded, self.taught.batch, self._teacher(self.taught.batch))

    def terms(self) -> dict[str, Tensor]:
        """The terms of the loss by name, with their graph."""
        return loss_terms(self._loaded, self._train, self.training, self.taught, progress=0.0)

    def train(self) -> None:
        """One step of the optimizer; the first one also measures what each term does, as in every run."""
        train_step(self._loaded, self._train, self.training, (self.taught,), self._n_done)
        self._n_done += 1


@contextmanager
def open_steps(
    loaded: LoadedTask, spec: StudySpec, space: RecipeSpace, recipe: Recipe, batch: Any, overwritten: tuple[str, ...],
    memory_format: torch.memory_format = torch.contiguous_format,
) -> Iterator[Steps]:  # fmt: skip
    """Steps with this recipe on a batch that lies on the device.

    Args:
        overwritten: the student's layers that are overwritten in place.

    Raises:
        CheckFailed: a projector is not in the optimizer.
    """
    plan = RunPlan(0, recipe, 0, spec.seed, "search", "valid", spec.train.steps)
    training = open_student(loaded, space, spec.train, plan, memory_format)
    with ExitStack() as stack:
        teacher = open_teacher(loaded, spec.train, teacher_names([recipe]), stack)
        training.hook(stack, tuple(path for path in overwritten if path in recipe.mapping.student_layers))
        yield Steps(training, teacher_batch(loaded, batch, teacher(batch)), loaded, spec.train, teacher)
