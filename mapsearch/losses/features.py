"""Losses between a student's and a teacher's feature, position by position.

All feature losses share one contract. Both features are `[B, C, *positions]` with channels second;
`mask` is bool `[B, *positions]` or None, and is passed over by a feature whose positions it does not
cover. The result is a float32 scalar >= 0 that is zero for equal features, does not depend on masked
positions, and is a mean, so that it does not grow with the batch. `core/losses.py` says which shapes
each one takes.
"""

import torch.nn.functional as F
from torch import Tensor

from mapsearch.losses.feature_rows import positions, unpadded


def nmse(student: Tensor, teacher: Tensor, mask: Tensor | None = None) -> Tensor:
    """Normalised mean squared error: the fraction of the teacher's variance left unexplained.

    `sum (s - t)^2 / sum (t - mean t)^2`, the mean over all real positions of the batch per channel.
    FitNets' hint loss (Romero et al. 2015, eq. 3) made free of the teacher's scale. Trap: a few
    positions of huge norm own it; prefer `cosine` then.
    """
    return unexplained_variance(positions(student, mask), with_energy(teacher, mask))


def with_energy(teacher: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
    """Rows `[N, C]`, and the sum of their squared distances from their mean."""
    t = positions(teacher, mask)
    return t, (t - t.mean(0)).square().sum().clamp(min=1e-12)


def unexplained_variance(student: Tensor, teacher: tuple[Tensor, Tensor]) -> Tensor:
    """The `nmse` of rows `[N, C]` and a teacher's `with_energy`."""
    rows, energy = teacher
    return F.mse_loss(student, rows, reduction="sum") / energy


def mse(student: Tensor, teacher: Tensor, mask: Tensor | None = None) -> Tensor:
    """Mean squared error over real positions and channels, in the teacher's squared unit.

    Source: FitNets' hint loss (Romero et al. 2015, eq. 3), which sums over channels and halves. Trap:
    its size is the teacher's scale; `nmse` is the same gradient in a unit of its own.
    """
    return F.mse_loss(positions(student, mask), positions(teacher, mask))


def teacher_variance(student: Tensor, teacher: Tensor, mask: Tensor | None = None) -> Tensor:
    """What `mse` is of a student that knows the teacher's mean alone: its variance, averaged over channels."""
    t = positions(teacher, mask)  # [N, C]
    return (t - t.mean(0)).square().mean()


def cosine(student: Tensor, teacher: Tensor, mask: Tensor | None = None) -> Tensor:
    """`1 - cos(s, t)` over channels, averaged over real positions; in [0, 2], blind to norms.

    Source: the hidden-state loss of DistilBERT (Sanh et al. 2019, section 3). Trap: a position that is
    all zero has no direction and counts as 1.
    """
    return cosine_of_rows(positions(student, mask), positions(teacher, mask))


def cosine_of_rows(student: Tensor, teacher: Tensor) -> Tensor:
    """The `cosine` of rows `[N, C]`."""
    return (1 - F.cosine_similarity(student, teacher, dim=1)).mean()


def vid(
    student: Tensor, teacher: Tensor, mask: Tensor | None = None, *, log_variance: Tensor, floor: float = 0.01
) -> Tensor:
    """Variational information distillation: how badly a Gaussian centred on the student predicts the teacher.

    `mean_c [log(v_c / floor) + e_c / v_c] / 2` with the learned variance `v_c = floor + exp(log_variance_c)`
    of each channel and its error `e_c = mean (s - t)_c^2 / mean variance of t`: channels the student
    cannot foretell are given up at the price of their logarithm. Source: Ahn et al. 2019, section 3, the
    negative log-likelihood with a variance per channel. It differs in two ways that change no gradient's
    direction: errors are in units of the teacher's variance, and the constant `log floor` (a floor of 1e-5
    in the released code) makes it >= 0. At equal features it is zero only once the variances have shrunk.

    Trap: the variances learn at the pace of the optimizer (a factor of two takes hundreds of steps of
    AdamW at 2e-3), so that over a short schedule this is close to `nmse`.

    Args:
        log_variance: learned with the student, `[C]`; 0 is the teacher's variance.
        floor: the least variance, as a fraction of the teacher's.
    """
    return negative_log_likelihood(
        positions(student, mask), with_variance(teacher, mask), log_variance=log_variance, floor=floor
    )


def with_variance(teacher: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
    """Rows `[N, C]`, and their variance averaged over channels."""
    t = positions(teacher, mask)
    return t, (t - t.mean(0)).square().mean().clamp(min=1e-12)


def negative_log_likelihood(
    student: Tensor, teacher: tuple[Tensor, Tensor], *, log_variance: Tensor, floor: float = 0.01
) -> Tensor:
    """The `vid` of rows `[N, C]` and a teacher's `with_variance`."""
    rows, unit = teacher
    error = (student - rows).square().mean(0) / unit  # [C]
    variance = floor + log_variance.float().exp()
    return 0.5 * ((variance / floor).log() + error / variance).mean()


def attention(student: Tensor, teacher: Tensor, mask: Tensor | None = None) -> Tensor:
    """Attention transfer: squared distance of unit-norm maps of where the energy lies; in [0, 2].

    `a = sum_c |x_c|^2` over positions, scaled to norm one per sample; the loss is
    `mean_B |a_s - a_t|^2`. Widths need not be equal. Source: Zagoruyko and Komodakis 2017, eq. 2
    (its released code squares the distance and averages over positions too; here positions are summed).
    Trap: one position of huge norm, such as a class token, owns the map.
    """
    return squared_distance(energy_map(student, mask), energy_map(teacher, mask))


def energy_map(feature: Tensor, mask: Tensor | None) -> Tensor:
    """Where a feature's energy lies, `[B, P]`, of norm one per sample."""
    return F.normalize(unpadded(feature, mask).square().sum(1).flatten(1), dim=1)


def squared_distance(student: Tensor, teacher: Tensor) -> Tensor:
    """Of rows `[B, D]`, averaged over them."""
    return (student - teacher).square().sum(1).mean()
