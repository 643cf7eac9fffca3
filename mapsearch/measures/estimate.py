"""What a pass over the samples has measured: values, how sure they are, and what chance would show."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mapsearch.core.errors import TaskError

MIN_GROUPS = 4
"""Fewer groups of samples than these tell nothing of how sure a value is."""


@dataclass(frozen=True)
class Estimate:
    """The similarity of `S` x `T` layer pairs and its errors, all on the CPU in float64."""

    values: Tensor
    """`[S, T]`, 0 where a layer is constant."""
    standard_errors: Tensor | None
    """`[S, T]` by the jackknife; None with fewer than four groups of samples."""
    noise_floor: float
    """95 % quantile of the absolute value over all pairs, with the teacher's samples shuffled."""
    spread_floor: float
    """95 % quantile over shuffles of the widest spread (largest minus smallest) within any student layer."""
    estimator: str
    """How the values came about, in words."""


class NotFinite(TaskError):
    """A feature holds values that are not finite.

    Args:
        network: 0 for the student, 1 for the teacher.
        layer: its place among that network's layers.
    """

    def __init__(self, network: int, layer: int) -> None:
        self.network, self.layer = network, layer
        who = ("student", "teacher")[network]
        super().__init__(f"similarity: features must be finite, but {who} layer {layer} produced inf or NaN")


def floors(shuffled: Tensor) -> tuple[float, float]:
    """Noise floor and spread floor of values over shuffles, `[R, S, T]`."""
    noise = shuffled.abs().flatten().quantile(0.95)
    spread = (shuffled.amax(2) - shuffled.amin(2)).amax(1).quantile(0.95)
    return float(noise), float(spread)


def jackknife(left_out: Tensor) -> Tensor | None:
    """Standard errors `[S, T]` from the values with one of `g` groups left out, `[g, S, T]` (Tukey 1958)."""
    g = len(left_out)
    if g < MIN_GROUPS:
        return None
    return ((g - 1) / g * (left_out - left_out.mean(0)).square().sum(0)).sqrt()


def cosines(cross: Tensor, student: Tensor, teacher: Tensor) -> Tensor:
    """`cross / sqrt(student * teacher)`, `[..., S, T]` from `[..., S]` and `[..., T]`; 0 where a norm is 0."""
    norms = (student.unsqueeze(-1) * teacher.unsqueeze(-2)).sqrt()
    return torch.where(norms > 0, cross / norms.clamp(min=torch.finfo(torch.float64).tiny), 0.0)


def weighted_jackknife(values: Tensor, left_out: Tensor, sizes: Sequence[int]) -> Tensor:
    """Standard errors `[S, T]` of `values` from those with one group of samples left out, `[G, S, T]`.

    For groups of unequal `sizes`. With `G` groups it is itself uncertain by a share of about
    `1 / sqrt(2 (G - 1))`. Source: Busing, Meijer and van der Leeden 1999, eq. 8-10. Trap: samples that
    depend on each other must share a group, or it comes out too small.
    """
    parts = sum(sizes) / torch.tensor(sizes, dtype=values.dtype)[:, None, None]
    pseudo = parts * values - (parts - 1) * left_out
    centre = len(sizes) * values - ((1 - 1 / parts) * left_out).sum(0)
    return ((pseudo - centre).square() / (parts - 1)).mean(0).sqrt()
