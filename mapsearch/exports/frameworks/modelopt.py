"""The ModelOpt builder, run: ModelOpt itself computes the loss."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor, nn

from mapsearch.core.space import RecipeSpace
from mapsearch.exports.frameworks.attached import AttachedLoss, ExportedBatch, term_parameters
from mapsearch.exports.frameworks.execute import executed


def load(path: Path, space: RecipeSpace, student: nn.Module, teacher: nn.Module) -> AttachedLoss:
    """The student converted by the file."""
    names = executed(path)
    return _Converted(names["build"](student, teacher), names["finish"])


class _Converted:
    """A distillation model as an `AttachedLoss`: the teacher is run by whoever runs the student."""

    def __init__(self, model: Any, finish: Any) -> None:
        self.model, self.finish, self.alone = model, finish, ExitStack()
        self.alone.enter_context(model.only_student_forward())

    def __call__(self, batch: ExportedBatch) -> Tensor:
        total: Tensor = self.model.compute_kd_loss(
            student_loss=batch.task_loss, mask=batch.mask, progress=batch.progress
        )
        return total

    def parameters(self) -> Iterator[nn.Parameter]:
        return term_parameters([loss.term for loss in self.model.loss_modules])

    def to(self, device: torch.device) -> Self:
        self.model.loss_modules.to(device)
        return self

    def close(self) -> None:
        self.alone.close()
        self.finish(self.model)
