"""What a batch shows of a task's outputs: the teacher's, its labels, and the task's own loss."""

import math
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from mapsearch.core.outputs import Outputs
from mapsearch.tasks.batches import ordered_batches
from mapsearch.tasks.default_losses import UNLABELLED
from mapsearch.tasks.labels import labels_of
from mapsearch.tasks.loaded_task import LoadedTask
from mapsearch.tasks.outputs import float_outputs
from mapsearch.tasks.precision import Precision, forward_in
from mapsearch.tasks.task import Task, own_loss

N_SAMPLES = 64
"""Samples of the batch that decides."""


@dataclass(frozen=True)
class Evidence:
    """One batch, with the teacher's outputs and the labels for it."""

    task: Task
    batch: Any
    output: Any
    outputs: Tensor
    labels: Tensor | None
    loss: float | None

    @property
    def selects_outputs(self) -> bool:
        """Whether the user says by a method which tensor the outputs are."""
        own = type(self.task)
        return own.outputs is not Task.outputs or own.logits is not Task.logits


def gather_evidence(loaded: LoadedTask, precision: Precision) -> tuple[Evidence | None, Tensor]:
    """One batch as the teacher sees it, None where it outputs nothing to match; and a student's outputs for it."""
    forward, task = forward_in(precision, loaded), loaded.task
    batch = next(ordered_batches(loaded, loaded.train, N_SAMPLES, N_SAMPLES))
    output = forward(loaded.teacher, batch)
    if task.outputs(output) is None:
        return None, torch.empty(0)
    student = loaded.new_student(0).eval()
    outputs, of_student = float_outputs(task, output).float(), float_outputs(task, forward(student, batch)).float()
    return Evidence(task, batch, output, outputs, labels_of(task, batch), _loss(task, output, batch)), of_student


def teaches_without_outputs(loaded: LoadedTask, precision: Precision) -> bool:
    """Whether the task has a loss of its own that does not hold the outputs against labels by default."""
    batch = next(ordered_batches(loaded, loaded.train, N_SAMPLES, N_SAMPLES))
    output = forward_in(precision, loaded)(loaded.teacher, batch)
    return _is_own(loaded.task, output) and _loss(loaded.task, output, batch) is not None


def _loss(task: Task, output: Any, batch: Any) -> float | None:
    """The task's own loss; NaN where there is one that another check must report."""
    try:
        loss = task.loss(output, batch)
    except Exception:  # the default loss of outputs that are no classes; an error of the user's is reported later
        return math.nan
    if loss is None:
        return None
    return float(loss) if loss.numel() == 1 else math.nan


def class_axes(evidence: Evidence) -> list[int]:
    """The axes without which the outputs have the shape of integer labels."""
    labels, shape = evidence.labels, list(evidence.outputs.shape)
    if labels is None or labels.is_floating_point() or labels.dtype == torch.bool:
        return []
    axes = range(1, len(shape))
    return [axis for axis in axes if shape[axis] > 1 and shape[:axis] + shape[axis + 1 :] == list(labels.shape)]


def has_own_loss(evidence: Evidence) -> bool:
    """Whether the task's loss is its author's or its model's, and not the default."""
    return _is_own(evidence.task, evidence.output)


def _is_own(task: Task, output: Any) -> bool:
    return type(task).loss is not Task.loss or own_loss(output) is not None


def is_own_loss(evidence: Evidence, form: Outputs) -> bool:
    """Whether the task's own loss is the usual one of that kind of output, or half of it, as of squared errors."""
    if evidence.loss is None or not has_own_loss(evidence):
        return False
    value = _usual_loss(evidence, form)
    return any(math.isclose(evidence.loss, factor * value, rel_tol=1e-3, abs_tol=1e-6) for factor in (1.0, 0.5))


def _usual_loss(evidence: Evidence, form: Outputs) -> float:
    assert evidence.labels is not None
    outputs, labels = squeezed(evidence.outputs), squeezed(evidence.labels)
    if form.kind == "classes":
        return cross_entropy(evidence, form.class_axis)
    if form.kind == "labels":
        return float(F.binary_cross_entropy_with_logits(outputs, labels.float()))
    return float(F.mse_loss(outputs, labels.float()))


def cross_entropy(evidence: Evidence, axis: int) -> float:
    """Of the teacher, with the classes on that axis; infinite where a label is no class."""
    assert evidence.labels is not None
    scores, labels = evidence.outputs.movedim(axis, -1), evidence.labels
    if labels.shape == scores.shape:
        return float(F.cross_entropy(scores.flatten(0, -2), labels.flatten(0, -2).float()))
    known = labels != UNLABELLED
    if not bool(known.any()) or int(labels[known].max()) >= scores.shape[-1] or int(labels[known].min()) < 0:
        return math.inf
    return float(F.cross_entropy(scores[known], labels[known].long()))


def squeezed(tensor: Tensor) -> Tensor:
    """The tensor without a last axis of one."""
    return tensor.squeeze(-1) if tensor.ndim > 1 and tensor.shape[-1] == 1 else tensor
