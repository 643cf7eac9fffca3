"""Metrics of one network by what `Task.metrics` returns for each batch: means over the samples of a whole data set."""

import inspect
from math import nan
from typing import Any

import torch
from torch import Tensor

from mapsearch.core.errors import TaskError
from mapsearch.tasks.alignment import without_padding
from mapsearch.tasks.default_losses import is_unlabelled
from mapsearch.tasks.labels import labels_of
from mapsearch.tasks.nested import batch_size, tensors_of
from mapsearch.tasks.seen import Seen
from mapsearch.tasks.task import Task

TEACHER_OUTPUT = "teacher_output"
"""The argument by which `Task.metrics` asks for the teacher's output."""


def sees_teacher(task: Task) -> bool:
    """Whether `Task.metrics` asks for the teacher's output."""
    return TEACHER_OUTPUT in inspect.signature(task.metrics).parameters


class SampleMetrics:
    """Means of what `Task.metrics` returns."""

    def __init__(self, task: Task) -> None:
        self._task, self._sees_teacher = task, sees_teacher(task)
        self._sums: dict[str, float] = {}
        self._counts: dict[str, float] = {}

    def update(self, seen: Seen) -> None:
        """Add one batch: tensors element by element, plain numbers weighted by the batch's size.

        Raises:
            TaskError: `metrics()` does not return a dict of names to numbers or tensors.
        """
        teacher = {TEACHER_OUTPUT: seen.teacher_output} if self._sees_teacher else {}
        measured = self._task.metrics(seen.output, seen.batch, **teacher)
        if not isinstance(measured, dict) or not measured:
            raise TaskError(f"`metrics()` must return a dict of name to value, but got {type(measured).__name__}")
        for name, value in measured.items():
            total, count = _sum_and_count(name, value, self._task, seen.batch)
            self._sums[name] = self._sums.get(name, 0.0) + total
            self._counts[name] = self._counts.get(name, 0.0) + count

    def compute(self) -> dict[str, float]:
        """Mean per counted sample; NaN where nothing was counted, or a sample that counts has NaN."""
        return {name: total / self._counts[name] if self._counts[name] else nan for name, total in self._sums.items()}


def _sum_and_count(name: str, value: Any, task: Task, batch: Any) -> tuple[float, float]:
    try:
        values = torch.as_tensor(value, dtype=torch.float64)
    except (TypeError, ValueError, RuntimeError):
        type_name = type(value).__name__
        raise TaskError(f"`metrics()`: `{name}` must be a number or a tensor, but got {type_name}") from None
    if not values.ndim:
        n = batch_size(batch)
        return float(values) * n, float(n)
    left_out = values.isnan()
    if left_out.any():
        left_out &= ~_labelled(torch.ones_like(left_out), _missing(task, batch))
    return float(values[~left_out].sum()), float((~left_out).sum())


def has_nan(task: Task, output: Any, batch: Any) -> bool:
    """Whether the output holds NaN for a sample or position that counts: one with a label where there are labels."""
    broken = [tensor.isnan() for tensor in tensors_of(output) if tensor.is_floating_point() and tensor.ndim]
    if not any(bool(positions.any()) for positions in broken):
        return False
    missing = _missing(task, batch)
    return any(bool(_labelled(positions, missing).any()) for positions in broken)


def _missing(task: Task, batch: Any) -> Tensor | None:
    """Which labels of a batch are none: -100, NaN among real numbers, or of padding; None where it has none at all."""
    labels = labels_of(task, batch)
    if labels is None or not labels.ndim:
        return None
    labels = without_padding(task.output_form, labels, task.mask(batch))
    return is_unlabelled(task.output_form.kind, labels) | labels.isnan()


def _labelled(positions: Tensor, missing: Tensor | None) -> Tensor:
    """The positions `[B, ...]` without those that have no label.

    Labels with more axes than the positions leave out a position when all of its labels are missing; one label more
    than positions are those of a next-token task, whose first token is never held against an output.
    """
    if missing is None:
        return positions
    missing = missing.to(positions.device)
    if missing.ndim == positions.ndim == 2 and missing.shape[1] == positions.shape[1] + 1:
        missing = missing[:, 1:]
    if missing.ndim > positions.ndim:
        missing = missing.flatten(positions.ndim).all(-1)
    if missing.shape != positions.shape[: missing.ndim]:
        return positions
    return positions & ~missing.view(*missing.shape, *[1] * (positions.ndim - missing.ndim))
