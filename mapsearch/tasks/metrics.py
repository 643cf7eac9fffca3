"""Metrics of one network, accumulated over a whole data set: how the batches were cut plays no part."""

from math import nan
from typing import Any

import torch
from torch import Tensor

from mapsearch.core.errors import TaskError
from mapsearch.tasks.default_losses import UNLABELLED
from mapsearch.tasks.labels import integer_labels
from mapsearch.tasks.nested import batch_size, tensors_of
from mapsearch.tasks.task import Task


class MeanMetrics:
    """Means of what `Task.metrics` returns: the accumulator of tasks that bring none of their own."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._sums: dict[str, float] = {}
        self._counts: dict[str, float] = {}

    def update(self, output: Any, batch: Any) -> None:
        """Add one batch: tensors element by element (NaN left out), plain numbers weighted by the batch's size.

        Raises:
            TaskError: `metrics()` does not return a dict of names to numbers or tensors.
        """
        measured = self._task.metrics(output, batch)
        if not isinstance(measured, dict) or not measured:
            raise TaskError(f"`metrics()` must return a dict of name to value, but got {type(measured).__name__}")
        for name, value in measured.items():
            total, count = _sum_and_count(name, value, batch)
            self._sums[name] = self._sums.get(name, 0.0) + total
            self._counts[name] = self._counts.get(name, 0.0) + count

    def compute(self) -> dict[str, float]:
        """Mean per counted sample; NaN where nothing was counted."""
        return {name: total / self._counts[name] if self._counts[name] else nan for name, total in self._sums.items()}


def _sum_and_count(name: str, value: Any, batch: Any) -> tuple[float, float]:
    try:
        values = torch.as_tensor(value, dtype=torch.float64)
    except (TypeError, ValueError, RuntimeError):
        type_name = type(value).__name__
        raise TaskError(f"`metrics()`: `{name}` must be a number or a tensor, but got {type_name}") from None
    if not values.ndim:
        n = batch_size(batch)
        return float(values) * n, float(n)
    counted = values[~values.isnan()]
    return float(counted.sum()), float(counted.numel())


def has_nan(task: Task, output: Any, batch: Any) -> bool:
    """Whether the output holds NaN for a sample or position that counts: one with a label where there are labels."""
    broken = [tensor.isnan() for tensor in tensors_of(output) if tensor.is_floating_point() and tensor.ndim]
    if not any(bool(positions.any()) for positions in broken):
        return False
    labels = integer_labels(task, batch)
    return any(bool(_labelled(positions, labels).any()) for positions in broken)


def _labelled(positions: Tensor, labels: Tensor | None) -> Tensor:
    """The positions `[B, ...]` without those whose label `[B]` or `[B, L]` is -100."""
    if labels is None or labels.shape != positions.shape[: labels.ndim]:
        return positions
    unlabelled = (labels == UNLABELLED).view(*labels.shape, *[1] * (positions.ndim - labels.ndim))
    return positions & ~unlabelled
