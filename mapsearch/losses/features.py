"""Losses between a student's and a teacher's feature of the same shape.

All share one contract. Both features are `[B, C, *positions]` with channels second, equal in shape,
float32; `mask` is bool `[B, *positions]` or None. The result is a scalar >= 0 that is zero for equal
features, does not depend on masked positions, and is a mean, so that it does not grow with the batch.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def nmse(student: Tensor, teacher: Tensor, mask: Tensor | None = None) -> Tensor:
    """Normalised mean squared error: the fraction of the teacher's variance left unexplained.

    `sum (s - t)^2 / sum (t - mean t)^2`, the mean over all real positions of the batch per channel.
    FitNets' hint loss (Romero et al. 2015, eq. 3) made free of the teacher's scale. Trap: a few
    positions of huge norm own it; prefer `cosine` then.
    """
    s, t = _positions(student, mask), _positions(teacher, mask)  # [N, C]
    return (s - t).square().sum() / (t - t.mean(0)).square().sum().clamp(min=1e-12)


def cosine(student: Tensor, teacher: Tensor, mask: Tensor | None = None) -> Tensor:
    """`1 - cos(s, t)` over channels, averaged over real positions; in [0, 2], blind to norms.

    Source: the hidden-state loss of DistilBERT (Sanh et al. 2019, section 3).
    """
    return (1 - F.cosine_similarity(_positions(student, mask), _positions(teacher, mask), dim=1)).mean()


def attention(student: Tensor, teacher: Tensor, mask: Tensor | None = None) -> Tensor:
    """Attention transfer: squared distance of unit-norm maps of where the energy lies; in [0, 2].

    `a = sum_c |x_c|^2` over positions, scaled to norm one per sample; the loss is
    `mean_B |a_s - a_t|^2`. Widths need not be equal. Source: Zagoruyko and Komodakis 2017, eq. 2
    (its released code squares the distance and averages over positions too; here positions are summed).
    """
    maps = []
    for feature in (student, teacher):
        real = feature if mask is None else feature.masked_fill(~mask.unsqueeze(1), 0.0)
        energy = real.square().sum(1).flatten(1)  # [B, P]
        maps.append(F.normalize(energy, dim=1))
    return (maps[0] - maps[1]).square().sum(1).mean()


def _positions(feature: Tensor, mask: Tensor | None) -> Tensor:
    """`[B, C, *positions]` -> real positions as rows `[N, C]`."""
    channels_last = torch.movedim(feature, 1, -1)
    return channels_last[mask] if mask is not None else channels_last.flatten(0, -2)
