"""The PyTorch file, executed."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor, nn

from mapsearch.core.space import RecipeSpace
from mapsearch.exports.frameworks.attached import AttachedLoss, ExportedBatch, term_parameters
from mapsearch.exports.frameworks.execute import executed


def load(path: Path, space: RecipeSpace, student: nn.Module, teacher: nn.Module) -> AttachedLoss:
    """The `DistillationLoss` of the file on these networks; the file knows its layers without the space."""
    return _AttachedModule(executed(path)["DistillationLoss"](student, teacher))


class _AttachedModule:
    """A `DistillationLoss` as an `AttachedLoss`."""

    def __init__(self, loss: Any) -> None:
        self.loss = loss

    def __call__(self, batch: ExportedBatch) -> Tensor:
        total: Tensor = self.loss(
            batch.task_loss, batch.student_outputs, batch.teacher_outputs, batch.mask, batch.progress
        )
        return total

    def parameters(self) -> Iterator[nn.Parameter]:
        return term_parameters([*getattr(self.loss, "terms", ())])

    def to(self, device: torch.device) -> Self:
        self.loss.to(device)
        return self

    def close(self) -> None:
        self.loss.close()
