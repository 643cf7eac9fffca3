"""Projector: makes a student feature and a teacher feature comparable."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Projector(nn.Module):
    """Brings a pair of features to one shape `[B, C, *positions]`, channels second, float32.

    The student's channels are mapped to the teacher's by one learned linear map per position (on
    maps that is a 1x1 convolution) unless `student_width` is None; maps of different size are both
    averaged down to the smaller grid first. Tokens `[B, L, C]` keep their positions.

    Source: FitNets' regressor (Romero et al. 2015) with a 1x1 kernel.
    """

    def __init__(self, kind: str, student_width: int | None, teacher_width: int) -> None:
        super().__init__()
        self.kind = kind
        self.linear = nn.Linear(student_width, teacher_width) if student_width is not None else nn.Identity()

    def forward(self, student: Tensor, teacher: Tensor) -> tuple[Tensor, Tensor]:
        """Both features as `[B, C, *positions]`; gradients flow to the student's alone."""
        student, teacher = student.float(), teacher.detach().float()
        if self.kind == "map":
            grid = [min(a, b) for a, b in zip(student.shape[2:], teacher.shape[2:], strict=True)]
            student, teacher = torch.movedim(self._resample(student, grid), 1, -1), self._resample(teacher, grid)
        else:
            teacher = torch.movedim(teacher, -1, 1)
        return torch.movedim(self.linear(student), -1, 1), teacher

    @staticmethod
    def _resample(feature: Tensor, grid: list[int]) -> Tensor:
        if list(feature.shape[2:]) == grid:
            return feature
        pools: dict[int, Callable[[Tensor, Any], Tensor]]
        pools = {1: F.adaptive_avg_pool1d, 2: F.adaptive_avg_pool2d, 3: F.adaptive_avg_pool3d}
        return pools[len(grid)](feature, grid)
