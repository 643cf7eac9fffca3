"""What a TextBrewer adaptor needs beside the losses; `textbrewer` pastes its source, so it knows no noun of ours."""

from collections.abc import Callable
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn


def channels_last(feature: Tensor, kind: str, grid: tuple[int, int] | None = None) -> Tensor:
    """The feature as TextBrewer's projections take it; of tokens in a grid, the last ones, `[B, H, W, C]`."""
    if kind == "map":
        return feature.movedim(1, -1)
    if grid is None:
        return feature
    height, width = grid
    return feature[:, -height * width :].reshape(len(feature), height, width, -1)


def compared(
    loss: Callable[..., Tensor], aligned: bool, student: Tensor, teacher: Tensor, mask: Tensor | None = None
) -> Tensor:
    """A loss of ours between channels-last features; aligned, the finer one is averaged to the other's grid first."""
    s, t = student.movedim(-1, 1), teacher.movedim(-1, 1)
    if aligned and s.shape[2:] != t.shape[2:]:
        grid = [min(sizes) for sizes in zip(s.shape[2:], t.shape[2:], strict=True)]
        pools: dict[int, Callable[[Tensor, Any], Tensor]]
        pools = {1: F.adaptive_avg_pool1d, 2: F.adaptive_avg_pool2d, 3: F.adaptive_avg_pool3d}
        s, t = (pools[len(grid)](feature, grid) for feature in (s, t))
    return loss(s, t, None if mask is None else mask.bool())


def mlp(student_width: int, teacher_width: int) -> nn.Module:
    """A projection with a hidden layer as wide as the teacher's."""
    return nn.Sequential(nn.Linear(student_width, teacher_width), nn.GELU(), nn.Linear(teacher_width, teacher_width))
