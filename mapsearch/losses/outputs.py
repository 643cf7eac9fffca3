"""Losses between a student's and a teacher's outputs: class scores, scores of labels, values or embeddings.

One contract: outputs `[..., C]`, `mask` bool over the leading axes or None; the result is a scalar
mean over real positions, computed in float32, >= 0 and zero for equal outputs. Those between softened
distributions are multiplied by temperature^2 so that their gradient keeps its size when the temperature
changes (Hinton et al. 2015). Vocabularies padded to different widths are trimmed to the smaller one.
Large ones are gone through a part at a time, with each part computed again for its gradient: beside
the logits and their gradient only one part is ever held in float32.
"""

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.checkpoint import checkpoint

MAX_FLOAT32_LOGITS = 2**23
"""How many logits of a network are held in float32 at once."""


def kl(student: Tensor, teacher: Tensor, temperature: float, mask: Tensor | None = None) -> Tensor:
    """`temperature^2 * KL(teacher || student)` of the softened distributions, in nats.

    Source: Hinton, Vinyals and Dean 2015, section 2. Trap: it asks for student logits as large as the
    teacher's, which a small student can rarely produce; `standardised_kl` does not.
    """
    return _mean(partial(_kl_sum, temperature=temperature), student, teacher, mask)


def standardised_kl(student: Tensor, teacher: Tensor, temperature: float, mask: Tensor | None = None) -> Tensor:
    """KL as above after both logits were standardised: `z = (x - mean x) / sd x` over the classes.

    Only the order and the relative gaps of the logits are asked for, not their size. Source: Sun et al. 2024,
    algorithm 1 (population standard deviation; its released code has the sample's). Trap: logits
    of standard deviation one are soft, so that usual temperatures flatten them further: try 1 to 2.
    """
    return _mean(partial(_standardised_kl_sum, temperature=temperature), student, teacher, mask)


def dkd(
    student: Tensor,
    teacher: Tensor,
    temperature: float,
    mask: Tensor | None = None,
    *,
    target_weight: float = 1.0,
    other_weight: float = 8.0,
) -> Tensor:
    """Decoupled distillation: KL between target and rest, plus KL among the other classes, weighted apart.

    `temperature^2 * (target_weight * KL(b_t || b_s) + other_weight * KL(q_t || q_s))`; plain KL would
    weight the second term by the teacher's doubt. Source: Zhao et al. 2022, eq. 7, with its CIFAR-100
    weights 1 and 8. Here the target is the teacher's top class, not the label, so that unlabelled
    samples take part.
    """
    loss_sum = partial(_dkd_sum, temperature=temperature, target_weight=target_weight, other_weight=other_weight)
    return _mean(loss_sum, student, teacher, mask)


def binary_kl(student: Tensor, teacher: Tensor, temperature: float, mask: Tensor | None = None) -> Tensor:
    """`temperature^2 * KL` between each label's own yes and no, in nats, averaged over labels.

    For labels that do not exclude each other: a softmax over them would not see a score added to all.
    Source: Yang et al. 2023, "Multi-label knowledge distillation", which takes each label on its own.
    """
    return _mean(partial(_binary_kl_sum, temperature=temperature), student, teacher, mask)


def huber(student: Tensor, teacher: Tensor, temperature: float, mask: Tensor | None = None) -> Tensor:
    """Huber's loss (1964) with its bend at one, for standardised values; the temperature plays no part."""
    return _mean(_huber_sum, student, teacher, mask)


def cosine_distance(student: Tensor, teacher: Tensor, temperature: float, mask: Tensor | None = None) -> Tensor:
    """One minus the cosine between the two embeddings; the temperature plays no part."""
    return _mean(_cosine_sum, student, teacher, mask)


def relational(student: Tensor, teacher: Tensor, temperature: float, mask: Tensor | None = None) -> Tensor:
    """Mean squared difference between the cosines of all pairs of embeddings of a batch; the temperature plays no part.

    The widths may differ. After Tung and Mori 2019, "Similarity-preserving knowledge distillation", with embeddings
    instead of rows brought to length one. Positions count as samples of their own.
    """
    real = mask if mask is not None and mask.shape == student.shape[:-1] else None
    rows = (x[real] if real is not None else x.flatten(0, -2) for x in (student, teacher))
    s, t = (F.normalize(x.float(), dim=-1) for x in rows)  # [N, C]
    n = len(s)
    difference = s @ s.T - (t @ t.T).detach()
    return difference.square().sum() / max(1, n * (n - 1))  # the diagonal is zero


def logit_mse(student: Tensor, teacher: Tensor, temperature: float, mask: Tensor | None = None) -> Tensor:
    """Mean squared error, over classes, values or dimensions and positions; the temperature plays no part.

    Of class scores: twice what `kl` tends to at a high temperature, for logits of mean zero. Sources: Ba and
    Caruana 2014, eq. 1; Kim et al. 2021. Trap: unlike a softmax it sees a shift of all logits, and with a large
    vocabulary most of it is about tokens that never come up.
    """
    return _mean(_mse_sum, student, teacher, mask)


def _kl_sum(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    s, t = (F.log_softmax(x / temperature, dim=-1) for x in (student, teacher))
    return temperature**2 * F.kl_div(s, t, reduction="sum", log_target=True)


def _standardised_kl_sum(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    s, t = (F.layer_norm(x, x.shape[-1:], eps=1e-7) for x in (student, teacher))  # without weights: the z-score
    return _kl_sum(s, t, temperature)


def _dkd_sum(student: Tensor, teacher: Tensor, temperature: float, target_weight: float, other_weight: float) -> Tensor:
    target = teacher.argmax(-1, keepdim=True)  # [N, 1]
    parts = []
    for logits in (student, teacher):
        log_p = F.log_softmax(logits / temperature, -1)
        others = log_p.scatter(-1, target, -torch.inf)
        rest = others.logsumexp(-1, keepdim=True)  # not log(1 - p): that has no digits left when the network is sure
        binary = torch.cat([log_p.gather(-1, target), rest], -1)
        parts.append((binary, (others - rest).scatter(-1, target, 0.0)))  # 0 in both networks: adds nothing
    (binary_s, others_s), (binary_t, others_t) = parts
    between = F.kl_div(binary_s, binary_t, reduction="sum", log_target=True)
    among = F.kl_div(others_s, others_t, reduction="sum", log_target=True)
    return temperature**2 * (target_weight * between + other_weight * among)


def _mse_sum(student: Tensor, teacher: Tensor) -> Tensor:
    return F.mse_loss(student, teacher, reduction="sum") / student.shape[-1]


def _binary_kl_sum(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    s, t = student / temperature, teacher / temperature
    yes, no = F.logsigmoid(t), F.logsigmoid(-t)
    kl = yes.exp() * (yes - F.logsigmoid(s)) + no.exp() * (no - F.logsigmoid(-s))
    return temperature**2 * kl.sum() / student.shape[-1]


def _huber_sum(student: Tensor, teacher: Tensor) -> Tensor:
    return F.huber_loss(student, teacher, reduction="sum") / student.shape[-1]


def _cosine_sum(student: Tensor, teacher: Tensor) -> Tensor:
    return (1 - F.cosine_similarity(student, teacher, dim=-1)).sum()


def _mean(
    loss_sum: Callable[[Tensor, Tensor], Tensor],
    student: Tensor,
    teacher: Tensor,
    mask: Tensor | None,
) -> Tensor:
    """Mean of a loss over real positions; a mask that does not cover the leading axes is per token, and not used."""
    n_classes = min(student.shape[-1], teacher.shape[-1])
    if n_classes < 0.99 * max(student.shape[-1], teacher.shape[-1]):
        raise ValueError(
            f"logits of {student.shape[-1]} and {teacher.shape[-1]} classes must be of one vocabulary, padded to "
            "widths less than 1 % apart; select the classes both networks share"
        )
    real = mask if mask is not None and mask.shape == student.shape[:-1] else None
    s, t = (
        logits[real] if real is not None else logits.flatten(0, -2)
        for logits in (student[..., :n_classes], teacher[..., :n_classes].detach())
    )  # [N, C]
    n_rows = max(1, MAX_FLOAT32_LOGITS // n_classes)
    if len(s) <= n_rows:
        return loss_sum(s.float(), t.float()) / max(1, len(s))
    sums = [
        checkpoint(_in_float32, loss_sum, *part, use_reentrant=False, preserve_rng_state=False)
        for part in zip(torch.split(s, n_rows), torch.split(t, n_rows), strict=True)
    ]
    return torch.stack(sums).sum() / len(s)


def _in_float32(loss_sum: Callable[[Tensor, Tensor], Tensor], student: Tensor, teacher: Tensor) -> Tensor:
    return loss_sum(student.float(), teacher.float())
