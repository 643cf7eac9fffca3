"""What a task's outputs are: read from a batch, its labels, the task's loss and the teacher, never guessed."""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

import torch
from torch import Tensor

from mapsearch.core.errors import TaskError
from mapsearch.core.outputs import OutputKind, Outputs
from mapsearch.tasks.alignment import in_last_axis
from mapsearch.tasks.batches import ordered_batches
from mapsearch.tasks.default_losses import UNLABELLED
from mapsearch.tasks.loaded_task import LoadedTask
from mapsearch.tasks.next_token import is_next_token
from mapsearch.tasks.output_evidence import (
    N_SAMPLES,
    Evidence,
    class_axes,
    cross_entropy,
    gather_evidence,
    has_own_loss,
    is_own_loss,
    squeezed,
    teaches_without_outputs,
)
from mapsearch.tasks.outputs import float_outputs
from mapsearch.tasks.precision import Precision, forward_in
from mapsearch.tasks.task import EMBEDDINGS, LOGITS

N_STANDARDISING = 512
"""Training samples over which the mean and the standard deviation of values are taken."""

CHANCE = 0.9
"""The teacher reads classes along an axis when its cross entropy there is below this share of that of guessing."""


@torch.no_grad()
def decide_outputs(loaded: LoadedTask, wanted: OutputKind | Literal["auto"], precision: Precision) -> Outputs:
    """How the task's outputs are to be read.

    Raises:
        TaskError: they cannot be read as wanted, or with `auto` in two ways, or in none.
    """
    evidence, student = gather_evidence(loaded, precision)
    if evidence is None or wanted == "none":
        why = "`outputs: none` is set" if wanted == "none" else "`Task.outputs` returns None"
        return Outputs("none", has_loss=teaches_without_outputs(loaded, precision), why=why)
    form = _read(evidence) if wanted == "auto" else _stated(evidence, wanted)
    has_default_loss = form.kind != "embedding"  # labels beside embeddings are there to measure by
    form = replace(form, has_loss=evidence.loss is not None and (has_default_loss or has_own_loss(evidence)))
    if form.kind == "values":
        form = _standardised(loaded, precision, form)
    same_width = in_last_axis(form, evidence.outputs).shape[-1] == in_last_axis(form, student).shape[-1]
    return replace(form, next_token=is_next_token(loaded, precision, evidence, form), same_width=same_width)


def _stated(evidence: Evidence, kind: OutputKind) -> Outputs:
    why = f"`outputs: {kind}` is set"
    if kind != "classes":
        return Outputs(kind, why=why)
    axes = class_axes(evidence)
    if len(axes) > 1:
        axes = _told_axes(evidence, axes)
    return Outputs("classes", axes[0] if len(axes) == 1 else -1, why=why)


def _read(evidence: Evidence) -> Outputs:
    """What the outputs are where the study file does not say."""
    labels = evidence.labels
    if labels is None:
        return _without_labels(evidence)
    if labels.is_floating_point():
        return _by_float_labels(evidence, labels)
    if axes := class_axes(evidence):
        return _by_class_axes(evidence, axes)
    return _by_whole_numbers(evidence, labels)


def _without_labels(evidence: Evidence) -> Outputs:
    if _has_field(evidence.output, LOGITS) and evidence.outputs.ndim == 2:
        return Outputs("classes", why="there are no labels, and the output has `logits`")
    if field := next((name for name in EMBEDDINGS if _has_field(evidence.output, name)), None):
        return Outputs("embedding", why=f"there are no labels, and the output has a `{field}`")
    raise TaskError(_question(evidence, "there are no labels to tell what they are"))


def _has_field(output: Any, name: str) -> bool:
    found = output.get(name) if isinstance(output, Mapping) else getattr(output, name, None)
    return isinstance(found, Tensor)


def _by_float_labels(evidence: Evidence, labels: Tensor) -> Outputs:
    outputs = evidence.outputs
    if squeezed(outputs).shape != squeezed(labels).shape:
        whole = bool((labels == labels.round()).all())
        if whole and outputs.ndim == labels.ndim + 1:
            return Outputs("classes", why="labels are whole numbers, one for each row of scores")
        raise TaskError(_question(evidence, f"they do not fit labels {list(labels.shape)} of {labels.dtype}"))
    known = labels[labels != UNLABELLED]
    if not bool(((known >= 0) & (known <= 1)).all()):
        return Outputs("values", why="labels are real numbers")
    kinds = _kinds_of_shares(labels)
    if len(kinds) > 1:
        kinds = [kind for kind in kinds if is_own_loss(evidence, Outputs(kind))]
    if len(kinds) != 1:
        raise TaskError(_question(evidence, "float labels between 0 and 1 may be classes, labels or values"))
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


def _by_class_axes(evidence: Evidence, axes: list[int]) -> Outputs:
    if len(axes) > 1:
        axes = _told_axes(evidence, axes)
    if len(axes) != 1:
        shape = list(evidence.outputs.shape)
        raise TaskError(
            f"`outputs(output)` of {shape} may have its classes on more than one axis; move them to the last one, "
            "as by `output.movedim(1, -1)`, in `Task.outputs(output)`"
        )
    n_axes, n_classes = evidence.outputs.ndim, evidence.outputs.shape[axes[0]]
    where = "the last axis" if axes[0] == n_axes - 1 else f"axis {axes[0]}"
    why = f"whole-number labels leave {where} of {list(evidence.outputs.shape)} to {n_classes} classes"
    return Outputs("classes", axes[0] - n_axes, why=why)


def _told_axes(evidence: Evidence, axes: list[int]) -> list[int]:
    """Those of several axes that the task's method, its own loss or the trained teacher speak for."""
    last = evidence.outputs.ndim - 1
    if evidence.selects_outputs and last in axes:
        return [last]
    if matching := [
        axis for axis in axes if has_own_loss(evidence) and is_own_loss(evidence, Outputs("classes", axis))
    ]:
        return matching
    return [axis for axis in axes if cross_entropy(evidence, axis) < CHANCE * math.log(evidence.outputs.shape[axis])]


def _by_whole_numbers(evidence: Evidence, labels: Tensor) -> Outputs:
    """Integer labels in the shape of the outputs, or that fit no axis."""
    known = labels[labels != UNLABELLED]
    if squeezed(evidence.outputs).shape == squeezed(labels).shape:
        is_binary = bool(((known == 0) | (known == 1)).all())
        if is_own_loss(evidence, Outputs("values")) or not is_binary:
            return Outputs("values", why="labels are numbers, one for each output")
        return Outputs("labels", why="labels are 0 or 1, one for each output")
    if evidence.outputs.ndim == 2 or (evidence.selects_outputs and evidence.outputs.ndim > 2):
        return Outputs("classes", why="labels are of the task's own form; classes are on the last axis")
    raise TaskError(_question(evidence, f"they do not fit labels {list(labels.shape)}"))


def _question(evidence: Evidence, why: str) -> str:
    shape = list(evidence.outputs.shape)
    return (
        f"`outputs(output)` are {shape}, and {why}; state `outputs:` in the study file: classes, "
        "labels (yes or no each), values (real numbers), embedding, or none (features alone)"
    )


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
