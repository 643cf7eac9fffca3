"""From the moments of one pair of layers to how alike they are, without another look at the samples.

The moments of a pair are `sum [x, |x|^2, 1] [y, |y|^2, 1]^T` over samples, `[..., d_s + 2, d_t + 2]`
float64. They add up over batches, and subtract where samples are left out; leading dimensions are such
variants. A layer's own are those of it with itself. A measure is two functions: what it wants of each
layer's own moments, and what it makes of that and of the pair's; the pair's may be of fewer samples.
"""

import torch
from torch import Tensor

ROUNDING = 1e-12
"""A difference this small against its largest term is nothing but rounding."""
VARIANCE_KEPT = 0.99


def debiased_hsic(pair: Tensor) -> Tensor:
    """Unbiased HSIC of two linear kernels; 0 below four samples.

    `(tr(KL) + 1'K1 1'L1 / ((n-1)(n-2)) - 2 1'KL1 / (n-2)) / (n(n-3))` with the diagonals of `K` and
    `L` set to zero: Song et al. 2012, eq. 5. Of sums over samples alone, with `r = sum |x|^2 |y|^2`,
    `s = sum x` and `t = sum y`: `tr(KL) = |X'Y|^2 - r`, `1'K1 = |s|^2 - sum |x|^2` and
    `1'KL1 = s'X'Y t - s' sum x |y|^2 - t' sum y |x|^2 + r`. Cost: one product of the features per
    sample instead of one per two samples. Trap: the terms cancel, so they want float64 and features
    about zero.
    """
    n, r = pair[..., -1, -1], pair[..., -2, -2]
    products, s, t = pair[..., :-2, :-2], pair[..., :-2, -1], pair[..., -1, :-2]
    trace = products.square().sum((-2, -1)) - r
    ones_s, ones_t = (s * s).sum(-1) - pair[..., -2, -1], (t * t).sum(-1) - pair[..., -1, -2]
    to_s, to_t = (products @ t.unsqueeze(-1)).squeeze(-1) - pair[..., :-2, -2], pair[..., -2, :-2]
    both = (s * to_s).sum(-1) - (t * to_t).sum(-1) + r
    hsic = (trace + ones_s * ones_t / ((n - 1) * (n - 2)) - 2 * both / (n - 2)) / (n * (n - 3))
    return torch.where(n >= 4, hsic, 0.0)


def biased_hsic(pair: Tensor) -> Tensor:
    """`|X'Y|^2 / n^2` of centred features: Gretton et al. 2005, eq. 9; Kornblith et al. 2019, eq. 3.

    Trap: about as large for unrelated features as for equal ones where samples are few for the channels.
    """
    return covariance(pair).square().sum((-2, -1))


def debiased_norm(own: Tensor) -> Tensor:
    """A layer's HSIC with itself, 0 where it is constant or tells no samples apart."""
    return _beyond_rounding(debiased_hsic(own), own)


def biased_norm(own: Tensor) -> Tensor:
    """The biased counterpart of `debiased_norm`."""
    return _beyond_rounding(biased_hsic(own), own)


def debiased_cka(pair: Tensor, student: Tensor, teacher: Tensor) -> Tensor:
    """`HSIC(K, L) / sqrt(HSIC(K, K) HSIC(L, L))`: Kornblith et al. 2019, eq. 4.

    Trap: channels of large variance own it.
    """
    return _cosine(debiased_hsic(pair), student, teacher)


def biased_cka(pair: Tensor, student: Tensor, teacher: Tensor) -> Tensor:
    """`debiased_cka` of biased estimates: about `d / (d + n)` for unrelated features of `d` channels."""
    return _cosine(biased_hsic(pair), student, teacher)


def variance(own: Tensor) -> Tensor:
    """A layer's summed variance."""
    return covariance(own).diagonal(dim1=-2, dim2=-1).sum(-1)


def procrustes(pair: Tensor, student: Tensor, teacher: Tensor) -> Tensor:
    """`|X'Y|_* / (|X| |Y|)` of centred features, in [0, 1]: how well the best rotation maps one on the other.

    Sources: Ding et al. 2021, section 2 (its distance is `2 - 2` times this); Williams et al. 2021.
    Cost: as CKA, and a singular value decomposition per pair at the end. Trap: biased upwards where
    samples are few for the channels; nothing but its noise floor tells.
    """
    return _cosine(torch.linalg.svdvals(covariance(pair)).sum(-1), student, teacher)


def whitening(own: Tensor) -> Tensor:
    """`[..., d, k]`: the directions of 99 % of a layer's variance, each over its deviation; zeros fill up."""
    ascending, vectors = torch.linalg.eigh(covariance(own))
    variances, directions = ascending.flip(-1).clamp(min=0), vectors.flip(-1)
    before = variances.cumsum(-1) - variances
    is_kept = before < VARIANCE_KEPT * variances.sum(-1, keepdim=True)  # none where all is constant
    whitened: Tensor = directions * torch.where(is_kept, variances.rsqrt(), 0.0).unsqueeze(-2)
    return whitened[..., : int(is_kept.sum(-1).max())]


def svcca(pair: Tensor, student: Tensor, teacher: Tensor) -> Tensor:
    """Mean canonical correlation between the directions that hold 99 % of each layer's variance, in [0, 1].

    Source: Raghu et al. 2017, section 2. Cost: as `procrustes`, and an eigendecomposition per layer.
    Trap: a direction of noise among the 99 % counts as much as one of signal, and with fewer samples
    than directions every correlation is 1.
    """
    correlations: Tensor = torch.linalg.svdvals(student.mT @ covariance(pair) @ teacher).clamp(max=1)
    n_student, n_teacher = ((whitened != 0).any(-2).sum(-1) for whitened in (student, teacher))
    return correlations.sum(-1) / torch.minimum(n_student, n_teacher).clamp(min=1)


def covariance(pair: Tensor) -> Tensor:
    """`[..., d_s, d_t]`, over `n`."""
    n = pair[..., -1:, -1:]
    return pair[..., :-2, :-2] / n - (pair[..., :-2, -1:] / n) * (pair[..., -1:, :-2] / n)


def _beyond_rounding(difference: Tensor, own: Tensor) -> Tensor:
    largest_term = (own[..., :-2, :-2] / own[..., -1:, -1:]).square().sum((-2, -1))
    return torch.where(difference > ROUNDING * largest_term, difference, 0.0)


def _cosine(product: Tensor, student: Tensor, teacher: Tensor) -> Tensor:
    norms = student.sqrt() * teacher.sqrt()
    return torch.where(norms > 0, product / norms, 0.0)
