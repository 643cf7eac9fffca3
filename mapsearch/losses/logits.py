"""Losses between a student's and a teacher's logits.

One contract: logits `[..., C]`, `mask` bool over the leading axes or None; the result is a scalar
mean over real positions, computed in float32, zero for equal logits, already multiplied by
temperature^2 so that its gradient keeps its size when the temperature changes (Hinton et al. 2015).
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def kl(student: Tensor, teacher: Tensor, temperature: float, mask: Tensor | None = None) -> Tensor:
    """`temperature^2 * KL(teacher || student)` of the softened distributions, in nats.

    Source: Hinton, Vinyals and Dean 2015, section 2.
    """
    s = F.log_softmax(_rows(student, mask) / temperature, dim=-1)
    t = F.log_softmax(_rows(teacher, mask) / temperature, dim=-1)
    return temperature**2 * F.kl_div(s, t, reduction="batchmean", log_target=True)


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
    s, t = _rows(student, mask) / temperature, _rows(teacher, mask) / temperature  # [N, C]
    target = F.one_hot(t.argmax(-1), t.shape[-1]).bool()

    def parts(logits: Tensor) -> tuple[Tensor, Tensor]:
        log_p = F.log_softmax(logits, -1)
        others = log_p[~target].view(len(logits), -1)  # [N, C - 1]
        rest = others.logsumexp(-1)  # not log(1 - p): that has no digits left when the network is sure
        return torch.stack([log_p[target], rest], -1), others - rest.unsqueeze(-1)

    (binary_s, others_s), (binary_t, others_t) = parts(s), parts(t)
    between = F.kl_div(binary_s, binary_t, reduction="batchmean", log_target=True)
    among = F.kl_div(others_s, others_t, reduction="batchmean", log_target=True)
    return temperature**2 * (target_weight * between + other_weight * among)


def _rows(logits: Tensor, mask: Tensor | None) -> Tensor:
    """`[..., C]` -> `[N, C]` float32, real positions only; a mask that does not cover the leading axes is per token."""
    covers = mask is not None and mask.shape == logits.shape[:-1]
    return (logits[mask] if covers else logits.flatten(0, -2)).float()
