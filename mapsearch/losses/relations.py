"""Losses between the relations that the samples of a batch have among each other.

The contract is that of `features.py`. Each feature is seen as one row per sample (`views.samples`), so
that neither widths nor positions nor kinds need be equal; memory is `[B, B]` beside the features. A batch
given twice leaves `gram` as it is and moves distances, angles and `pkt` by about `2 / B` of their value, as they
leave out pairs of a sample with itself. `cka` falls then, for equal samples are evidence of similarity; over
fresh samples its mean is the same for every batch size.
"""

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from mapsearch.losses.feature_rows import products, samples
from mapsearch.losses.features import squared_distance


def gram(student: Tensor, teacher: Tensor, mask: Tensor | None = None) -> Tensor:
    """Similarity-preserving distillation: squared distance of the batch's Gram matrices, row by row; in [0, 4].

    `G = rows rows^T` `[B, B]` with each row scaled to norm one; the loss is `mean_i |G_s[i] - G_t[i]|^2`.
    Source: Tung and Mori 2019, section 3, which divides by `B^2` instead of `B` and so shrinks when the batch
    grows. Trap: nothing is centred, so a mean that all samples share makes all Grams alike; `cka` is
    the centred one.
    """
    return squared_distance(unit_gram(student, mask), unit_gram(teacher, mask))


def unit_gram(feature: Tensor, mask: Tensor | None) -> Tensor:
    """Inner products of the samples, `[B, B]`, each row scaled to norm one."""
    rows = samples(feature, mask)
    return F.normalize(products(rows, rows), dim=1)


def relational_distance(student: Tensor, teacher: Tensor, mask: Tensor | None = None) -> Tensor:
    """Relational distillation of distances: Huber loss between the pairwise distances, each side in units of its mean.

    `mean_{i != j} huber(d_s[i, j] - d_t[i, j])`, `d[i, j] = |x_i - x_j| / mean distance`. Source: Park et
    al. 2019, section 3.2.1 (`L_RKD-D`; Huber with delta 1). Trap: with many channels all distances tend to
    be equal, and the loss to be small from the start.
    """
    return distances_apart(relative_distances(student, mask), relative_distances(teacher, mask))


def distances_apart(s: Tensor, t: Tensor) -> Tensor:
    """The `relational_distance` of `relative_distances`."""
    n = len(s)
    return F.smooth_l1_loss(s, t, reduction="sum") / max(1, n * (n - 1))


def relational_angle(student: Tensor, teacher: Tensor, mask: Tensor | None = None, *, part_size: int = 2**22) -> Tensor:
    """Relational distillation of angles: Huber loss between the cosines at the corners of all triangles; in [0, 1.5].

    `mean over i, j, k of huber(cos_s[i, j, k] - cos_t[i, j, k])`, the angle at sample `j` between the
    directions to `i` and `k`, all different. Source: Park et al. 2019, section 3.2.2 (`L_RKD-A`). The cosines
    come from distances, so no `[B, B, D]` is made; those of large batches are gone through a part of the corners
    at a time, each computed again for its gradient. Trap: its definition has `B^3` angles, so that time
    grows with the cube of the batch.
    """
    return angles_apart(squared_distances(student, mask), squared_distances(teacher, mask), part_size=part_size)


def angles_apart(s: Tensor, t: Tensor, *, part_size: int = 2**22) -> Tensor:
    """The `relational_angle` of `squared_distances`."""
    n = len(s)
    n_corners = max(1, part_size // n**2)
    if n <= n_corners:
        total = _angle_loss(s, s, t, t)
    else:
        parts = zip(torch.split(s, n_corners), torch.split(t, n_corners), strict=True)
        sums = [
            checkpoint(_angle_loss, s_part, s, t_part, t, use_reentrant=False, preserve_rng_state=False)
            for s_part, t_part in parts
        ]
        total = torch.stack(sums).sum()
    return total / max(1, n * (n - 1) * (n - 2))


def pkt(student: Tensor, teacher: Tensor, mask: Tensor | None = None) -> Tensor:
    """Probabilistic knowledge transfer: KL between the probabilities that one sample would pick another, in nats.

    `p[i | j] = K[i, j] / sum_{k != j} K[k, j]` with the kernel `K = (1 + cos(x_i, x_j)) / 2`; the loss is
    `mean_j sum_{i != j} p_t log(p_t / p_s)`. Source: Passalis and Tefas 2018, section 3, which sums over `j`
    (its released code averages over `i` too, and so shrinks when the batch grows). Trap: with
    many channels all kernels are near 1/2 and the loss is tiny (1e-3 nats) though nothing has been learned.
    """
    return picks_apart(pick_probabilities(student, mask), pick_probabilities(teacher, mask))


def picks_apart(s: Tensor, t: Tensor) -> Tensor:
    """The `pkt` of `pick_probabilities`."""
    ratio = t.clamp(min=1e-12) / s.clamp(min=1e-12)  # 1 on the diagonal, where both are zero
    return (t * ratio.log()).sum(0).mean()


def cka(student: Tensor, teacher: Tensor, mask: Tensor | None = None) -> Tensor:
    """`1 - CKA` of the batch, with the debiased linear CKA; in [0, 2], about 1 for unrelated features.

    `CKA = <K_s, K_t> / (|K_s| |K_t|)` of the U-centred Gram matrices: blind to rotation, scale and offset.
    Sources: Kornblith et al. 2019 (CKA); Szekely and Rizzo 2014, definition 2 (U-centring); Nguyen et al. 2021,
    eq. 2-3 (in minibatches). Trap: debiasing keeps a small batch from looking alike, but its noise stays:
    about `1 / B` between unrelated features, of either sign; below four samples there is no estimate.
    """
    return cka_distance(centred_gram(student, mask), centred_gram(teacher, mask))


def cka_distance(s: Tensor, t: Tensor) -> Tensor:
    """The `cka` of `centred_gram`."""
    return 1 - (s * t).sum()


def squared_distances(feature: Tensor, mask: Tensor | None) -> Tensor:
    """Between all samples, `[B, B]`; centred first, so that a common offset costs no digits."""
    rows = samples(feature, mask)
    centred = rows - rows.mean(0)
    inner = products(centred, centred)
    norms = inner.diagonal()
    return (norms[:, None] + norms - 2 * inner).clamp(min=0)


def _apart(squared: Tensor, all_squared: Tensor) -> Tensor:
    """Which samples are not equal up to rounding: only they have a distance with a gradient, and a direction."""
    return squared > 1e-6 * all_squared.detach().mean()


def relative_distances(feature: Tensor, mask: Tensor | None) -> Tensor:
    """Between all samples, `[B, B]`, in units of their mean."""
    squared = squared_distances(feature, mask)
    n = len(squared)
    apart = _apart(squared, squared)
    distances = squared.masked_fill(~apart, 1.0).sqrt().masked_fill(~apart, 0.0)
    return distances / (distances.sum() / max(1, n * (n - 1))).clamp(min=1e-12)


def _angle_loss(student_part: Tensor, student: Tensor, teacher_part: Tensor, teacher: Tensor) -> Tensor:
    """The sum over the angles at some corners, from squared distances `[corners, B]` and `[B, B]`."""
    s, t = _cosines(student_part, student), _cosines(teacher_part, teacher)
    return F.smooth_l1_loss(s, t, reduction="sum")


def _cosines(part: Tensor, squared: Tensor) -> Tensor:
    """Cosines `[j, i, k]` of the angle at `j`; 0 where a corner falls on another."""
    apart = _apart(part, squared)
    inverse = part.masked_fill(~apart, 1.0).rsqrt().masked_fill(~apart, 0.0)
    inner = (part[:, :, None] + part[:, None, :] - squared) / 2  # the law of cosines
    return inner * (inverse[:, :, None] * inverse[:, None, :])


def pick_probabilities(feature: Tensor, mask: Tensor | None) -> Tensor:
    """`p[i, j]`, the probability of picking `i` when at `j`; each column sums to one, zero diagonal."""
    directions = F.normalize(samples(feature, mask), dim=1)
    kernel = ((1 + products(directions, directions)) / 2).clamp(min=1e-6)
    kernel = kernel.masked_fill(torch.eye(len(kernel), dtype=torch.bool, device=kernel.device), 0.0)
    return kernel / kernel.sum(0).clamp(min=1e-12)


def centred_gram(feature: Tensor, mask: Tensor | None) -> Tensor:
    """The U-centred Gram matrix of the samples, zero diagonal, of norm one and flattened, `[B * B]`."""
    rows = samples(feature, mask)
    n = len(rows)
    centred = rows - rows.mean(0)
    diagonal = torch.eye(n, dtype=torch.bool, device=rows.device)
    inner = products(centred, centred).masked_fill(diagonal, 0.0)
    sums = inner.sum(1) / max(1, n - 2)
    inner = inner - sums[:, None] - sums + sums.sum() / max(1, n - 1)
    return F.normalize(inner.masked_fill(diagonal, 0.0).flatten(), dim=0)
