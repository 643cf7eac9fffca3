"""What a batch shows of a task's outputs: the teacher's, its labels, and the task's own loss."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mapsearch.core.errors import TaskError
from mapsearch.core.outputs import Outputs
from mapsearch.tasks.alignment import aligned, in_last_axis, is_coarser
from mapsearch.tasks.batches import ordered_batches
from mapsearch.tasks.default_losses import UNLABELLED
from mapsearch.tasks.labels import labels_of
from mapsearch.tasks.loaded_task import LoadedTask
from mapsearch.tasks.memory import is_out_of_memory
from mapsearch.tasks.output_fields import own_loss
from mapsearch.tasks.outputs import float_outputs
from mapsearch.tasks.precision import Precision, forward_in
from mapsearch.tasks.task import TARGETS, Task, inputs_of
from mapsearch.tasks.user_code import describe

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

    @property
    def measures_itself(self) -> bool:
        """Whether the user says how outputs are held against labels, in training and when they are measured."""
        return type(self.task).metrics is not Task.metrics and has_own_loss(self)


def gather_evidence(loaded: LoadedTask, precision: Precision) -> tuple[Evidence | None, Tensor]:
    """One batch as the teacher sees it, None where it outputs nothing to match; and a student's outputs for it."""
    task = loaded.task
    batch = next(ordered_batches(loaded, loaded.train, N_SAMPLES, N_SAMPLES))
    output = _called(loaded, precision, loaded.teacher, batch)
    if task.outputs(output) is None:
        return None, torch.empty(0)
    student = loaded.new_student(0).eval()
    own = _called(loaded, precision, student, batch)
    outputs, of_student = float_outputs(task, output).float(), float_outputs(task, own).float()
    return Evidence(task, batch, output, outputs, labels_of(task, batch), _loss(task, output, batch)), of_student


def _called(loaded: LoadedTask, precision: Precision, model: nn.Module, batch: Any) -> Any:
    """The model's output; an error that its own loss of the labels makes is told as such."""
    forward, who = forward_in(precision, loaded), "teacher" if model is loaded.teacher else "student"
    try:
        return forward(model, batch)
    except Exception as error:
        if is_out_of_memory(error):
            raise
        what, way_out = f"`forward` of the {who}", "`Task.forward(model, batch)` says how networks are called"
        if isinstance(batch, Mapping) and _works(forward, model, inputs_of(batch)):
            named = [(key, batch[key]) for key in TARGETS if isinstance(batch.get(key), Tensor)]
            what += "".join(f" with `{key}` {x.dtype} {list(x.shape)}" for key, x in named)
            way_out = "its own loss takes other labels: `.long()` for classes, `.float()` for yes or no and values"
        raise TaskError(f"{what} failed: {describe(error)}; {way_out}") from error


def _works(forward: Callable[[nn.Module, Any], Any], model: nn.Module, batch: Any) -> bool:
    try:
        forward(model, batch)
    except Exception:
        return False
    return True


def require_scores(evidence: Evidence, form: Outputs) -> None:
    """Make sure that losses get scores, and not what a softmax or a sigmoid made of them.

    Raises:
        TaskError: outputs are probabilities.
    """
    outputs = in_last_axis(form, evidence.outputs)
    if form.kind not in ("classes", "labels") or bool(((outputs < 0) | (outputs > 1)).any()):
        return
    sums = outputs.sum(-1)
    if form.kind == "labels":
        problem, way_out = "between 0 and 1, as after a sigmoid", "`output.logit(eps=1e-6)`"
    elif torch.allclose(sums, torch.ones_like(sums), atol=1e-3):
        problem, way_out = "probabilities, which sum to one", "`output.clamp(min=1e-9).log()`"
    else:
        return
    rule = f"must be scores, but are {problem}; return the scores themselves from `Task.outputs(output)`"
    raise TaskError(f"`outputs(output)` of {form.kind} {rule}, or else {way_out}")


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
    """The axes without which the outputs have the shape of integer labels, or of an image in a whole part of it."""
    labels, shape = evidence.labels, list(evidence.outputs.shape)
    if labels is None or labels.is_floating_point() or labels.dtype == torch.bool:
        return []
    axes = range(1, len(shape))
    if coarser := [axis for axis in (1, 3) if len(shape) == 4 and is_coarser(_last(shape, axis), labels.shape)]:
        return coarser
    return [axis for axis in axes if shape[axis] > 1 and shape[:axis] + shape[axis + 1 :] == list(labels.shape)]


def _last(shape: list[int], axis: int) -> list[int]:
    return [*shape[:axis], *shape[axis + 1 :], shape[axis]]


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
        return cross_entropy(evidence, form.class_axis, next_token=form.next_token)
    if form.kind == "labels":
        return float(F.binary_cross_entropy_with_logits(outputs, labels.float()))
    return float(F.mse_loss(outputs, labels.float()))


def cross_entropy(evidence: Evidence, axis: int, *, next_token: bool = False) -> float:
    """Of the teacher, with the classes on that axis; infinite where a label is no class."""
    assert evidence.labels is not None
    scores, labels = aligned(Outputs("classes", axis, next_token=next_token), evidence.outputs, evidence.labels)
    if labels.shape == scores.shape:
        return float(F.cross_entropy(scores.flatten(0, -2), labels.flatten(0, -2).float()))
    known = labels != UNLABELLED
    if not bool(known.any()) or int(labels[known].max()) >= scores.shape[-1] or int(labels[known].min()) < 0:
        return math.inf
    return float(F.cross_entropy(scores[known], labels[known].long()))


def squeezed(tensor: Tensor) -> Tensor:
    """The tensor without a last axis of one."""
    return tensor.squeeze(-1) if tensor.ndim > 1 and tensor.shape[-1] == 1 else tensor
