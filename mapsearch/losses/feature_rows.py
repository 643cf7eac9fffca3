"""A feature `[B, C, *positions]` as rows: what the losses compute on, with padding taken out and in float32."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


def covering(mask: Tensor | None, feature: Tensor) -> Tensor | None:
    """The mask if it is about the positions of this feature, bool `[B, *positions]`; else None."""
    return mask if mask is not None and mask.shape == (feature.shape[0], *feature.shape[2:]) else None


def positions(feature: Tensor, mask: Tensor | None) -> Tensor:
    """Real positions of the batch as rows, `[N, C]`."""
    channels_last, real = torch.movedim(feature.float(), 1, -1), covering(mask, feature)
    return channels_last.flatten(0, -2) if real is None else channels_last[real]


def unpadded(feature: Tensor, mask: Tensor | None) -> Tensor:
    """The feature with zeros where it is padding, which may hold NaN."""
    real = covering(mask, feature)
    return feature.float() if real is None else feature.float().masked_fill(~real.unsqueeze(1), 0.0)


def samples(feature: Tensor, mask: Tensor | None) -> Tensor:
    """One row per sample, `[B, D]`: sequences are averaged over their real positions, maps flattened.

    Position 7 of one sentence is no counterpart of position 7 of another; pixel 7 of two images is.
    """
    real = covering(mask, feature)
    if feature.ndim != 3:
        return unpadded(feature, mask).flatten(1)
    n_real = feature.shape[2] if real is None else real.sum(1, keepdim=True).clamp(min=1)
    return unpadded(feature, mask).sum(2) / n_real


def products(x: Tensor, y: Tensor) -> Tensor:
    """Inner products of rows `[..., n, D]` and `[..., m, D]` -> `[..., n, m]`, in float32 also under autocast."""
    with torch.autocast(x.device.type, enabled=False):
        return x @ y.transpose(-1, -2)


def averaged_to(feature: Tensor, grid: Sequence[int] | None) -> Tensor:
    """A map `[B, C, *positions]` averaged down to a grid of as many axes; as it is where that is None, or its own."""
    if grid is None or list(feature.shape[2:]) == list(grid):
        return feature
    pools: dict[int, Callable[[Tensor, Any], Tensor]]
    pools = {1: F.adaptive_avg_pool1d, 2: F.adaptive_avg_pool2d, 3: F.adaptive_avg_pool3d}
    return pools[len(grid)](feature, grid)
