"""What a task's outputs are: read from a batch, its labels, the task's loss and the teacher, never guessed."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from mapsearch.core.errors import TaskError
from mapsearch.core.outputs import OutputKind, Outputs
from mapsearch.tasks.alignment import in_last_axis
from mapsearch.tasks.batches import ordered_batches
from mapsearch.tasks.default_losses import UNLABELLED
from mapsearch.tasks.labels import labels_of
from mapsearch.tasks.loaded_task import LoadedTask
from mapsearch.tasks.outputs import float_outputs
from mapsearch.tasks.precision import Precision, forward_in
from mapsearch.tasks.task import EMBEDDINGS, LOGITS, Task, inputs_of, own_loss

N_SAMPLES = 64
"""Samples of the batch that decides."""

N_STANDARDISING = 512
"""Training samples over which the mean and the standard deviation of values are taken."""

CHANCE = 0.9
"""The teacher reads classes along an axis when its cross entropy there is below this share of that of guessing."""


@dataclass(frozen=True)
class _Seen:
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


@torch.no_grad()
def decide_outputs(loaded: LoadedTask, wanted: OutputKind | Literal["auto"], precision: Precision) -> Outputs:
    """How the task's outputs are to be read.

    Raises:
        TaskError: they cannot be read as wanted, or with `auto` in two ways, or in none.
    """
    seen, student = _look(loaded, precision)
    if seen is None or wanted == "none":
        why = "`outputs: none` is set" if wanted == "none" else "`Task.outputs` returns None"
        return Outputs("none", has_loss=_loss_of(loaded, precision) is not None, why=why)
    form = _read(seen) if wanted == "auto" else _stated(seen, wanted)
    form = replace(form, has_loss=seen.loss is not None)
    if form.kind == "values":
        form = _standardised(loaded, precision, form)
    same_width = in_last_axis(form, seen.outputs).shape[-1] == in_last_axis(form, student).shape[-1]
    return replace(form, next_token=_is_next_token(loaded, precision, seen, form), same_width=same_width)


def _look(loaded: LoadedTask, precision: Precision) -> tuple[_Seen | None, Tensor]:
    forward, task = forward_in(precision, loaded), loaded.task
    batch = next(ordered_batches(loaded, loaded.train, N_SAMPLES, N_SAMPLES))
    output = forward(loaded.teacher, batch)
    if task.outputs(output) is None:
        return None, torch.empty(0)
    student = loaded.new_student(0).eval()
    outputs, of_student = float_outputs(task, output).float(), float_outputs(task, forward(student, batch)).float()
    return _Seen(task, batch, output, outputs, labels_of(task, batch), _loss(task, output, batch)), of_student


def _loss_of(loaded: LoadedTask, precision: Precision) -> float | None:
    batch = next(ordered_batches(loaded, loaded.train, N_SAMPLES, N_SAMPLES))
    return _loss(loaded.task, forward_in(precision, loaded)(loaded.teacher, batch), batch)


def _loss(task: Task, output: Any, batch: Any) -> float | None:
    """The task's own loss; NaN where there is one that another check must report."""
    try:
        loss = task.loss(output, batch)
    except Exception:  # the default loss of outputs that are no classes; an error of the user's is reported later
        return math.nan
    if loss is None:
        return None
    return float(loss) if loss.numel() == 1 else math.nan


def _stated(seen: _Seen, kind: OutputKind) -> Outputs:
    why = f"`outputs: {kind}` is set"
    if kind != "classes":
        return Outputs(kind, why=why)
    axes = _class_axes(seen)
    if len(axes) > 1:
        axes = _told_axes(seen, axes)
    return Outputs("classes", axes[0] if len(axes) == 1 else -1, why=why)


def _read(seen: _Seen) -> Outputs:
    """What the outputs are where the study file does not say."""
    labels = seen.labels
    if labels is None:
        return _without_labels(seen)
    if labels.is_floating_point():
        return _by_float_labels(seen, labels)
    if axes := _class_axes(seen):
        return _by_class_axes(seen, axes)
    return _by_whole_numbers(seen, labels)


def _without_labels(seen: _Seen) -> Outputs:
    if _has_field(seen.output, LOGITS) and seen.outputs.ndim == 2:
        return Outputs("classes", why="there are no labels, and the output has `logits`")
    if field := next((name for name in EMBEDDINGS if _has_field(seen.output, name)), None):
        return Outputs("embedding", why=f"there are no labels, and the output has a `{field}`")
    raise TaskError(_question(seen, "there are no labels to tell what they are"))


def _has_field(output: Any, name: str) -> bool:
    found = output.get(name) if isinstance(output, Mapping) else getattr(output, name, None)
    return isinstance(found, Tensor)


def _by_float_labels(seen: _Seen, labels: Tensor) -> Outputs:
    outputs = seen.outputs
    if _squeezed(outputs).shape != _squeezed(labels).shape:
        whole = bool((labels == labels.round()).all())
        if whole and outputs.ndim == labels.ndim + 1:
            return Outputs("classes", why="labels are whole numbers, one for each row of scores")
        raise TaskError(_question(seen, f"they do not fit labels {list(labels.shape)} of {labels.dtype}"))
    known = labels[labels != UNLABELLED]
    if not bool(((known >= 0) & (known <= 1)).all()):
        return Outputs("values", why="labels are real numbers")
    kinds = _kinds_of_shares(labels)
    if len(kinds) > 1:
        kinds = [kind for kind in kinds if _is_loss(seen, Outputs(kind))]
    if len(kinds) != 1:
        raise TaskError(_question(seen, "float labels between 0 and 1 may be classes, labels or values"))
    why = {"classes": "shares of the classes, summing to one", "labels": "yes or no each", "values": "real numbers"}
    return Outputs(kinds[0], why=f"labels are {why[kinds[0]]}")


def _kinds_of_shares(labels: Tensor) -> list[OutputKind]:
    """What labels from 0 to 1 may be."""
    kinds: list[OutputKind] = []
    is_row = labels.ndim > 1 and labels.shape[-1] > 1
    if is_row and torch.allclose(labels.sum(-1), torch.ones_like(labels.sum(-1)), atol=1e-3):
        kinds.append("classes")
    is_binary = bool(((labels == 0) | (labels == 1) | (labels == UNLABELLED)).all())
    kinds.append("labels")
    if not is_binary:
        kinds.append("values")
    return kinds


def _class_axes(seen: _Seen) -> list[int]:
    """The axes without which the outputs have the shape of integer labels."""
    labels, shape = seen.labels, list(seen.outputs.shape)
    if labels is None or labels.is_floating_point() or labels.dtype == torch.bool:
        return []
    axes = range(1, len(shape))
    return [axis for axis in axes if shape[axis] > 1 and shape[:axis] + shape[axis + 1 :] == list(labels.shape)]


def _by_class_axes(seen: _Seen, axes: list[int]) -> Outputs:
    if len(axes) > 1:
        axes = _told_axes(seen, axes)
    if len(axes) != 1:
        shape = list(seen.outputs.shape)
        raise TaskError(
            f"`outputs(output)` of {shape} may have its classes on more than one axis; move them to the last one, "
            "as by `output.movedim(1, -1)`, in `Task.outputs(output)`"
        )
    n_axes, n_classes = seen.outputs.ndim, seen.outputs.shape[axes[0]]
    where = "the last axis" if axes[0] == n_axes - 1 else f"axis {axes[0]}"
    why = f"whole-number labels leave {where} of {list(seen.outputs.shape)} to {n_classes} classes"
    return Outputs("classes", axes[0] - n_axes, why=why)


def _told_axes(seen: _Seen, axes: list[int]) -> list[int]:
    """Those of several axes that the task's method, its own loss or the trained teacher speak for."""
    last = seen.outputs.ndim - 1
    if seen.selects_outputs and last in axes:
        return [last]
    if matching := [axis for axis in axes if _has_own_loss(seen) and _is_loss(seen, Outputs("classes", axis))]:
        return matching
    return [axis for axis in axes if _cross_entropy(seen, axis) < CHANCE * math.log(seen.outputs.shape[axis])]


def _by_whole_numbers(seen: _Seen, labels: Tensor) -> Outputs:
    """Integer labels in the shape of the outputs, or that fit no axis."""
    known = labels[labels != UNLABELLED]
    if _squeezed(seen.outputs).shape == _squeezed(labels).shape:
        is_binary = bool(((known == 0) | (known == 1)).all())
        if _is_loss(seen, Outputs("values")) or not is_binary:
            return Outputs("values", why="labels are numbers, one for each output")
        return Outputs("labels", why="labels are 0 or 1, one for each output")
    if seen.outputs.ndim == 2 or (seen.selects_outputs and seen.outputs.ndim > 2):
        return Outputs("classes", why="labels are of the task's own form; classes are on the last axis")
    raise TaskError(_question(seen, f"they do not fit labels {list(labels.shape)}"))


def _question(seen: _Seen, why: str) -> str:
    return (
        f"`outputs(output)` are {list(seen.outputs.shape)}, and {why}; state `outputs:` in the study file: classes, "
        "labels (yes or no each), values (real numbers), embedding, or none (features alone)"
    )


def _squeezed(tensor: Tensor) -> Tensor:
    return tensor.squeeze(-1) if tensor.ndim > 1 and tensor.shape[-1] == 1 else tensor


def _has_own_loss(seen: _Seen) -> bool:
    return type(seen.task).loss is not Task.loss or own_loss(seen.output) is not None


def _is_loss(seen: _Seen, form: Outputs) -> bool:
    """Whether the task's own loss is the usual one of that kind of output, or half of it, as of squared errors."""
    if seen.loss is None or not _has_own_loss(seen):
        return False
    value = _usual_loss(seen, form)
    return any(math.isclose(seen.loss, factor * value, rel_tol=1e-3, abs_tol=1e-6) for factor in (1.0, 0.5))


def _usual_loss(seen: _Seen, form: Outputs) -> float:
    assert seen.labels is not None
    outputs, labels = _squeezed(seen.outputs), _squeezed(seen.labels)
    if form.kind == "classes":
        return _cross_entropy(seen, form.class_axis)
    if form.kind == "labels":
        return float(F.binary_cross_entropy_with_logits(outputs, labels.float()))
    return float(F.mse_loss(outputs, labels.float()))


def _cross_entropy(seen: _Seen, axis: int) -> float:
    """Of the teacher, with the classes on that axis; infinite where a label is no class."""
    assert seen.labels is not None
    scores, labels = seen.outputs.movedim(axis, -1), seen.labels
    if labels.shape == scores.shape:
        return float(F.cross_entropy(scores.flatten(0, -2), labels.flatten(0, -2).float()))
    known = labels != UNLABELLED
    if not bool(known.any()) or int(labels[known].max()) >= scores.shape[-1] or int(labels[known].min()) < 0:
        return math.inf
    return float(F.cross_entropy(scores[known], labels[known].long()))


def _is_next_token(loaded: LoadedTask, precision: Precision, seen: _Seen, form: Outputs) -> bool:
    """Whether labels are the inputs themselves, as causal language models take them, and the teacher is causal.

    Raises:
        TaskError: the teacher is not: it sees what it is to predict.
    """
    labels, ids = seen.labels, _token_ids(seen.batch)
    if form.kind != "classes" or labels is None or ids is None or labels.ndim != 2 or labels.shape != ids.shape:
        return False
    known = labels != UNLABELLED
    if labels.shape[1] < 2 or not bool(known.any()) or not torch.equal(labels[known], ids[known]):
        return False
    forward = forward_in(precision, loaded)
    changed = ids.clone()
    changed[:, -1] = (ids[:, -1] + 1) % (ids.max() + 1)
    other = float_outputs(loaded.task, forward(loaded.teacher, _with_ids(seen.batch, changed))).float()
    before, after = (in_last_axis(form, x)[:, :-1] for x in (seen.outputs, other))
    if not torch.allclose(before, after, rtol=1e-2, atol=1e-3):
        raise TaskError(
            "the labels are the inputs themselves, and the teacher sees them: there is nothing to predict; mask the "
            "inputs, or return the right labels by `Task.labels(batch)`"
        )
    return True


def _token_ids(batch: Any) -> Tensor | None:
    inputs = inputs_of(batch)
    ids = inputs.get("input_ids") if isinstance(inputs, Mapping) else inputs
    return ids if isinstance(ids, Tensor) and not ids.is_floating_point() else None


def _with_ids(batch: Any, ids: Tensor) -> Any:
    if isinstance(batch, Mapping):
        return {**batch, "input_ids": ids}
    return (ids, *batch[1:]) if isinstance(batch, (tuple, list)) else ids


def _standardised(loaded: LoadedTask, precision: Precision, form: Outputs) -> Outputs:
    """With the mean and the standard deviation of each of the teacher's values; a constant one has sd 1."""
    forward = forward_in(precision, loaded)
    rows = [
        in_last_axis(form, float_outputs(loaded.task, forward(loaded.teacher, batch)).double()).flatten(0, -2).cpu()
        for batch in ordered_batches(loaded, loaded.train, N_SAMPLES, N_STANDARDISING)
    ]
    values = torch.cat(rows)  # [N, K]
    sd = values.std(0, correction=0)
    sd = sd.where(sd > 1e-6 * (1 + values.mean(0).abs()), torch.ones_like(sd))
    return replace(form, mean=tuple(values.mean(0).tolist()), sd=tuple(sd.tolist()))
