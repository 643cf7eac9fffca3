"""The loss and the metrics of a task that brings none, by what its outputs are."""

import torch
import torch.nn.functional as F
from torch import Tensor

from mapsearch.core.outputs import OutputKind

UNLABELLED = -100
"""Label of a sample the task loss and the metrics skip; the teacher still teaches it."""


def loss_per_label(kind: OutputKind, outputs: Tensor, labels: Tensor) -> Tensor:
    """The loss of each label, in the shape of the labels; zero where there is none.

    Cross entropy in nats for classes, binary cross entropy for labels, squared error for values.

    Args:
        outputs: `[B, ..., C]`, as `aligned` gives them.
    """
    if kind == "classes":
        return _cross_entropy(outputs, labels)
    known = ~is_unlabelled(kind, labels)
    target = labels.where(known, torch.zeros_like(labels)).float()
    of_each = F.binary_cross_entropy_with_logits if kind == "labels" else F.mse_loss
    return of_each(outputs.float(), target, reduction="none") * known


def default_metrics(kind: OutputKind, outputs: Tensor, labels: Tensor) -> dict[str, Tensor | float]:
    """`loss` of each label, and `accuracy` or `absolute_error`; NaN where there is no label.

    Args:
        outputs: `[B, ..., C]`, as `aligned` gives them.
    """
    unlabelled = is_unlabelled(kind, labels)
    loss = loss_per_label(kind, outputs, labels)
    loss = loss.masked_fill(loss.isnan(), torch.inf)
    if kind == "values":
        measured = {"loss": loss, "absolute_error": (outputs.float() - labels).abs()}
    else:
        measured = {"accuracy": _is_right(kind, outputs, labels).float(), "loss": loss}
    if unlabelled.shape == loss.shape:
        measured = {name: values.masked_fill(unlabelled, torch.nan) for name, values in measured.items()}
    return dict(measured)


def _is_right(kind: OutputKind, outputs: Tensor, labels: Tensor) -> Tensor:
    if kind == "labels":
        return (outputs > 0) == (labels > 0.5)
    return outputs.argmax(-1) == (labels.argmax(-1) if labels.ndim == outputs.ndim else labels)


def is_unlabelled(kind: OutputKind, labels: Tensor) -> Tensor:
    """Which labels are -100; values may be any number, so none of them is."""
    return torch.zeros_like(labels, dtype=torch.bool) if kind == "values" else labels == UNLABELLED


def _cross_entropy(scores: Tensor, labels: Tensor) -> Tensor:
    if labels.ndim == scores.ndim:  # shares of the classes
        return F.cross_entropy(scores.movedim(-1, 1).float(), labels.movedim(-1, 1).float(), reduction="none")
    flat = F.cross_entropy(
        scores.flatten(0, -2).float(), labels.flatten().long(), ignore_index=UNLABELLED, reduction="none"
    )
    return flat.view(labels.shape)
