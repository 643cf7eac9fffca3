"""What a batch's labels are: classes by number, soft classes, or something of the task's own."""

from typing import Any

import torch
from torch import Tensor

from mapsearch.tasks.default_losses import UNLABELLED
from mapsearch.tasks.task import Task


def labels_of(task: Task, batch: Any) -> Tensor | None:
    """The labels of a batch, or None where the task has a loss and targets of its own and `labels` does not apply.

    Raises:
        Exception: whatever a `labels` of the task's own raises.
    """
    try:
        labels = task.labels(batch)
    except Exception:
        if type(task).labels is not Task.labels:
            raise
        return None  # a default loss that needs them fails later, where its error is reported
    return labels if isinstance(labels, Tensor) else None


def integer_labels(task: Task, batch: Any) -> Tensor | None:
    """The labels of a batch where they are classes by number, else None."""
    labels = labels_of(task, batch)
    return labels if labels is not None and not labels.is_floating_point() else None


def outside_classes(labels: Tensor, n_classes: int | None) -> Tensor:
    """Which integer labels are neither a class nor unlabelled; without the number of classes, the negative ones."""
    outside = labels < 0
    if n_classes is not None:
        outside = outside | (labels >= n_classes)
    return outside & (labels != UNLABELLED)


def is_classes(labels: Tensor, n_axes: int, n_classes: int) -> bool:
    """Whether float labels are classes all the same: whole numbers, or shares `[..., C]` that sum to one.

    Args:
        n_axes: number of axes of the class scores `[B, ..., C]`.
    """
    if labels.ndim == n_axes - 1:
        return bool((labels == labels.round()).all()) and not bool(outside_classes(labels, n_classes).any())
    if labels.ndim != n_axes or labels.shape[-1] != n_classes:
        return False
    sums = labels.sum(-1)
    return bool((labels >= 0).all()) and torch.allclose(sums, torch.ones_like(sums), atol=1e-3)
