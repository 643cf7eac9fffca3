"""A training step like those of the study, on one batch that is used again and again."""

from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self

import torch
from torch import Tensor
from torch.optim import SGD, AdamW

from mapsearch.core.recipe import Recipe
from mapsearch.core.space import RecipeSpace
from mapsearch.core.spec import StudySpec
from mapsearch.features.taps import FeatureTaps
from mapsearch.losses.gradients import check_optimizer
from mapsearch.losses.recipe_loss import RecipeLoss
from mapsearch.tasks.loading import LoadedTask
from mapsearch.tasks.outputs import matched_outputs
from mapsearch.tasks.precision import forward_precision

OPTIMIZERS = {"adamw": AdamW, "sgd": SGD}


class Steps:
    """A fresh student with all that trains it; `teach` comes first, and the hooks are gone after `with`.

    Raises:
        CheckFailed: a projector is not in the optimizer.
    """

    def __init__(
        self, loaded: LoadedTask, spec: StudySpec, space: RecipeSpace, recipe: Recipe, batch: Any,
        overwritten: tuple[str, ...],
    ) -> None:  # fmt: skip
        self._loaded, self._recipe, self._batch, self._precision = loaded, recipe, batch, spec.train.precision
        self.student = loaded.new_student(spec.seed)
        self.loss = RecipeLoss(recipe, space.student, space.teacher, spec.seed).to(loaded.device)
        parameters = [p for p in [*self.student.parameters(), *self.loss.parameters()] if p.requires_grad]
        self._optimizer = OPTIMIZERS[spec.train.optimizer](parameters, lr=spec.train.lr)
        check_optimizer(self.loss, self._optimizer)
        self._student_taps = FeatureTaps(self.student, recipe.mapping.student_layers, overwritten)
        teacher_layers = recipe.mapping.teacher_layers
        self._teacher_taps = FeatureTaps(loaded.teacher, teacher_layers, teacher_layers)
        self._open = ExitStack()

    def __enter__(self) -> Self:
        self._open.enter_context(self._teacher_taps)
        self._open.enter_context(self._student_taps)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    def teach(self) -> None:
        """Run the teacher; what it gives serves all steps until the next time."""
        self._mask = self._loaded.task.mask(self._batch)
        with torch.no_grad(), forward_precision(self._precision, self._loaded.device):
            output = self._loaded.task.forward(self._loaded.teacher, self._batch)
            self._logits = matched_outputs(self._loaded.task, output)
        self._features = self._teacher_taps.take()

    def terms(self) -> dict[str, Tensor]:
        """The terms of the loss by name, with their graph."""
        task = self._loaded.task
        with forward_precision(self._precision, self._loaded.device):
            output = task.forward(self.student, self._batch)
            value, logits = task.loss(output, self._batch), matched_outputs(task, output)
        return self.loss.terms(value, logits, self._logits, self._student_taps.take(), self._features, self._mask)

    def train(self) -> None:
        """One step of the optimizer."""
        sum(self.terms().values(), self.loss.scales.new_zeros(())).backward()  # type: ignore[no-untyped-call]
        self._optimizer.step()
        self._optimizer.zero_grad()
