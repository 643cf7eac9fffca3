"""The PyTorch file, executed; scripts for whole trainers hold the same `DistillationLoss`."""

from pathlib import Path
from typing import Any

from torch import Tensor, nn

from mapsearch.core.space import RecipeSpace
from mapsearch.exports.frameworks.attached import AttachedLoss, ExportedBatch
from mapsearch.exports.frameworks.execute import executed


def load(path: Path, space: RecipeSpace, student: nn.Module, teacher: nn.Module) -> AttachedLoss:
    """The `DistillationLoss` of the file on these networks; the file knows its layers without the space."""
    return _AttachedModule(executed(path)["DistillationLoss"](student, teacher))


class _AttachedModule(AttachedLoss):
    """A `DistillationLoss` as an `AttachedLoss`."""

    def __init__(self, loss: Any) -> None:
        self.loss = self.module = loss

    def __call__(self, batch: ExportedBatch) -> Tensor:
        total: Tensor = self.loss(
            batch.task_loss, batch.student_outputs, batch.teacher_outputs, batch.mask, batch.progress
        )
        return total

    def close(self) -> None:
        self.loss.close()
