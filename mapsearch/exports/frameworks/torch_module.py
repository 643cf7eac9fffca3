"""The PyTorch file, executed; scripts for whole trainers hold the same `DistillationLoss`."""

from pathlib import Path

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
    loss = names["DistillationLoss"](student, teacher)

    def total(batch: ExportedBatch) -> Tensor:
        outputs = (batch.student_outputs, batch.teacher_outputs)
        return loss(batch.task_loss, *outputs, batch.mask, batch.progress)  # type: ignore[no-any-return]

    return AttachedLoss(loss, total, loss.close)
