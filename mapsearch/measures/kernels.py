"""From a Gram matrix of one block of samples to a centred matrix: the cosine of two of them is a similarity.

One contract: Gram matrices `[..., n, n]` of the same `n` samples go in, matrices of that shape come
out whose products with those of unrelated features are zero in expectation, and which are zero where
all samples are equal.
"""

import torch
from torch import Tensor

N_NEIGHBOURS = 10


def linear(gram: Tensor) -> Tensor:
    """U-centred Gram matrices: debiased linear CKA.

    `CKA = HSIC(K, L) / sqrt(HSIC(K, K) HSIC(L, L))`; 1 for features equal up to rotation, scale and
    offset. Cost: one multiplication per sample, other sample of the block and channel. Trap: channels
    of large variance own it. Sources: Kornblith et al. 2019, eq. 4 (CKA); Song et al. 2012, eq. 5
    (unbiased HSIC); Székely and Rizzo 2014, def. 2 (U-centring, the same number).
    """
    return u_centred(gram)


def linear_biased(gram: Tensor) -> Tensor:
    """Doubly centred Gram matrices: the biased estimate, which tends to 1 when samples are few for the channels.

    For unrelated features it is about `d / (d + n)` with `d` channels and `n` samples of the block.
    Source: Kornblith et al. 2019, eq. 3.
    """
    return h_centred(gram)


def rbf(gram: Tensor) -> Tensor:
    """U-centred Gaussian kernels `exp(-|x - y|^2 / (2 m^2))`, `m` the median distance of the block.

    Cost: as linear, and an exponential per pair of samples. Trap: the bandwidth is a choice; a small
    one sees only near neighbours. Source: Kornblith et al. 2019, section 3 (bandwidth as a fraction of
    the median distance, here 1).
    """
    return u_centred(_gauss(gram))


def rbf_biased(gram: Tensor) -> Tensor:
    """`rbf` with the biased, doubly centred estimate."""
    return h_centred(_gauss(gram))


def distance(gram: Tensor) -> Tensor:
    """U-centred Euclidean distances: bias-corrected distance correlation (its square).

    Zero in expectation exactly for independent features, whatever the dependence looks like. Cost: as
    linear, and a root per pair of samples. Trap: it is the *squared* correlation. Source: Székely and
    Rizzo 2013, section 2.2 (bias-corrected); Székely et al. 2007 (distance correlation).
    """
    return u_centred(squared_distances(gram).sqrt())


def distance_biased(gram: Tensor) -> Tensor:
    """`distance` with the biased, doubly centred estimate."""
    return h_centred(squared_distances(gram).sqrt())


def distance_ranks(gram: Tensor) -> Tensor:
    """Centred ranks of the pairwise distances: representational similarity analysis with Spearman's correlation.

    Cost: sorts the `n (n - 1) / 2` distances of each block. Trap: only the order of distances counts,
    so that a few distinct clusters look like full agreement. Source: Kriegeskorte et al. 2008 (there
    with `1 - Pearson` between patterns; Euclidean distances here, which come from the Gram matrix).
    """
    distances = squared_distances(gram)
    n = distances.shape[-1]
    i, j = torch.triu_indices(n, n, offset=1, device=gram.device)
    pairs = distances[..., i, j].contiguous()  # [..., n (n - 1) / 2]
    ordered = pairs.sort(-1).values
    # equal distances share their mean rank
    first, last = (torch.searchsorted(ordered, pairs, right=right) for right in (False, True))
    ranks = (first + last).to(gram.dtype)
    out = torch.zeros_like(distances)
    out[..., i, j] = out[..., j, i] = (ranks - ranks.mean(-1, keepdim=True)) / pairs.shape[-1]
    return out


def neighbours(gram: Tensor) -> Tensor:
    """Who is among each sample's ten nearest in the block, less what chance gives: mutual nearest neighbours.

    The cosine is `(overlap - chance) / (1 - chance)` with `overlap` the shared fraction of neighbours
    and `chance = k / (n - 1)`. Cost: sorts each row. Trap: neighbours are looked for in blocks only,
    so the value depends on the block's size. Source: Huh et al. 2024, section 3 (without the
    correction for chance, and by inner products of unit-norm features; by distance here).
    """
    distances = squared_distances(gram)
    n = distances.shape[-1]
    k = max(1, min(N_NEIGHBOURS, (n - 1) // 2))
    distances.diagonal(dim1=-2, dim2=-1).fill_(torch.inf)  # nobody is their own neighbour
    nearest, chosen = distances.topk(k, dim=-1, largest=False)
    chance = k / (n - 1)
    out = torch.full_like(distances, -chance).scatter_(-1, chosen, 1 - chance)
    out.diagonal(dim1=-2, dim2=-1).zero_()
    farthest = distances.masked_fill(distances.isinf(), 0.0).amax(-1, keepdim=True)
    return out * (farthest > nearest[..., :1])  # where all are equally far, nobody is near


def squared_distances(gram: Tensor) -> Tensor:
    """`|x_i - x_j|^2` from inner products, `[..., n, n]`, zero diagonal."""
    own = gram.diagonal(dim1=-2, dim2=-1)
    distances = (own.unsqueeze(-1) + own.unsqueeze(-2) - 2 * gram).clamp_(min=0)
    distances.diagonal(dim1=-2, dim2=-1).zero_()
    return distances


def u_centred(matrix: Tensor) -> Tensor:
    """Every row and column sums to zero without the diagonal, which is zero; works in place.

    Székely and Rizzo 2014, def. 2. A product of two such matrices, summed and divided by `n (n - 3)`,
    is the unbiased HSIC.
    """
    n = matrix.shape[-1]
    matrix.diagonal(dim1=-2, dim2=-1).zero_()
    sums = matrix.sum(-1).div_(n - 2)
    sums -= sums.sum(-1, keepdim=True) / (2 * (n - 1))
    matrix -= sums.unsqueeze(-1)
    matrix -= sums.unsqueeze(-2)
    matrix.diagonal(dim1=-2, dim2=-1).zero_()
    return matrix


def h_centred(matrix: Tensor) -> Tensor:
    """`H M H` with `H = 1 - 11' / n`: rows and columns sum to zero, the diagonal included."""
    rows, columns = matrix.mean(-1, keepdim=True), matrix.mean(-2, keepdim=True)
    return matrix - rows - columns + matrix.mean((-2, -1), keepdim=True)


def _gauss(gram: Tensor) -> Tensor:
    distances = squared_distances(gram)
    n = distances.shape[-1]
    i, j = torch.triu_indices(n, n, offset=1, device=gram.device)
    median = distances[..., i, j].median(-1).values[..., None, None]
    return torch.exp(-distances / (2 * median).clamp(min=torch.finfo(distances.dtype).tiny))
