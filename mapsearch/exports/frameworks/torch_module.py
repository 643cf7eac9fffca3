"""The PyTorch file, executed; scripts for whole trainers hold the same `DistillationLoss`."""

from pathlib import Path
from typing import Any

from torch import Tensor, nn

from mapsearch.core.errors import WrongExport
from mapsearch.core.space import RecipeSpace
from mapsearch.exports.frameworks.attached import AttachedLoss, ExportedBatch
from mapsearch.exports.frameworks.execute import executed


def load(path: Path, space: RecipeSpace, student: nn.Module, teacher: nn.Module, trainer: str = "") -> AttachedLoss:
    """The `DistillationLoss` of the file, which knows its layers without the space, beside the class of its trainer."""
    names = executed(path)
    if trainer and trainer not in names:
        raise WrongExport(f"{path} must define `{trainer}`, but does not: --to must name the target it was written for")
    return _AttachedModule(names["DistillationLoss"](student, teacher))


class _AttachedModule(AttachedLoss):
    """A `DistillationLoss` as an `AttachedLoss`."""

    def __init__(self, loss: Any) -> None:
        self.loss = self.module = loss

    def __call__(self, batch: ExportedBatch) -> Tensor:
        outputs = (batch.student_outputs, batch.teacher_outputs)
        return self.loss(batch.task_loss, *outputs, batch.mask, batch.progress)  # type: ignore[no-any-return]

    def close(self) -> None:
        self.loss.close()
