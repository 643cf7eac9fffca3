"""Losses between distributions within each sample: of its channels' maps, of its tokens' attention.

The contract is that of `features.py`; widths need not be equal.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from mapsearch.losses.feature_rows import covering, positions, products, unpadded


def nst(student: Tensor, teacher: Tensor, mask: Tensor | None = None) -> Tensor:
    """Neuron selectivity transfer: squared maximum mean discrepancy between the channels' maps; in [0, 2].

    Each channel's map over the positions, scaled to norm one, is one draw; the loss is
    `mean k(s, s') + mean k(t, t') - 2 mean k(s, t)` per sample with the kernel `k(x, y) = (x . y)^2`.
    Source: Huang and Wang 2017, section 4, polynomial kernel with d = 2, c = 0.

    The kernel's mean map is the second moment `X^T X / C`, so that the loss is also the squared distance of
    two `[P, P]` matrices: that form is taken where there are fewer positions than channels, the
    `[C, C]` one else, and memory is never quadratic in the positions of a large map. Trap: it
    compares which maps occur, not which channel has them, and is small (about 1 / C) between features
    without selectivity.
    """
    return maps_apart(unit_maps(student, mask), unit_maps(teacher, mask))


def unit_maps(feature: Tensor, mask: Tensor | None) -> Tensor:
    """Each channel's map over the positions, `[B, C, P]`, of norm one."""
    return F.normalize(unpadded(feature, mask).flatten(2), dim=2)


def maps_apart(s: Tensor, t: Tensor) -> Tensor:
    """The `nst` of `unit_maps`."""
    if s.shape[2] <= max(s.shape[1], t.shape[1]):
        moments = [products(x.mT, x.mT) / x.shape[1] for x in (s, t)]  # [B, P, P]
        return (moments[0] - moments[1]).square().sum((1, 2)).mean()
    kernels = [products(x, y).square().mean() for x, y in ((s, s), (t, t), (s, t))]
    return (kernels[0] + kernels[1] - 2 * kernels[2]).clamp(min=0)  # rounding may leave -1e-8


def attention_relation(student: Tensor, teacher: Tensor, mask: Tensor | None = None, *, heads: int = 12) -> Tensor:
    """KL between the teacher's and the student's attention of each token to all tokens, in nats.

    `A = softmax(x x^T / sqrt(d))` in each of the heads that channels are cut into, `d` channels each; the
    loss is `KL(A_t || A_s)` averaged over heads and real tokens. Memory is `[B, heads, L, L]`, as its
    definition demands.

    Source: MiniLM (Wang et al. 2020, section 3), whose two terms are KL between the networks' own attention
    distributions and between their value relations `softmax(V V^T / sqrt(d))`, both of the last layer. It
    differs in this: a layer's output is all that is captured, so the relation is that of hidden states with
    themselves; they go through a layer norm without weights first, as queries and values do in a
    network; any layer may take part; and both networks are cut into as many heads as divide both widths
    (`heads` at most), as in MiniLMv2 (Wang et al. 2021). Trap: each token attends to itself most, the
    more so the wider a head is; that part of the distribution teaches little.
    """
    n_heads = math.gcd(heads, student.shape[1], teacher.shape[1])
    s, t = (_log_relations(unpadded(x, mask), mask, n_heads) for x in (student, teacher))
    divergence = F.kl_div(s, t, reduction="none", log_target=True).sum(-1)  # [B, heads, L]
    return positions(divergence, mask).mean()


def _log_relations(feature: Tensor, mask: Tensor | None, n_heads: int) -> Tensor:
    """`[B, C, L]` -> log-probabilities `[B, heads, L, L]` of each real token over the real tokens."""
    tokens = F.layer_norm(feature.mT, feature.shape[1:2])  # [B, L, C]
    heads = tokens.reshape(*tokens.shape[:2], n_heads, -1).transpose(1, 2)  # [B, heads, L, d]
    scores = products(heads, heads) / math.sqrt(heads.shape[-1])
    real = covering(mask, feature)
    if real is not None:
        scores = scores.masked_fill(~real[:, None, None, :], -1e9)  # -inf would make NaN of rows without any token
    return F.log_softmax(scores, -1, dtype=torch.float32)
