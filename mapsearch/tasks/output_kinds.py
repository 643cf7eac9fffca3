"""What a task's outputs are: read from a batch, its labels, the task's loss and the teacher, never guessed."""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor

from mapsearch.core.errors import TaskError
from mapsearch.core.outputs import OutputKind, Outputs
from mapsearch.tasks.alignment import aligned, in_last_axis
from mapsearch.tasks.batches import ordered_batches
from mapsearch.tasks.configured import configured
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
    require_scores,
    squeezed,
    teaches_without_outputs,
)
from mapsearch.tasks.output_fields import LOGITS, field, named_output
from mapsearch.tasks.outputs import float_outputs
from mapsearch.tasks.precision import Precision, forward_in
from mapsearch.tasks.task import Task
from mapsearch.tasks.token_outputs import is_per_token

N_STANDARDISING = 512
"""Training samples over which the mean and the standard deviation of values are taken."""

BOXES = "pred_boxes"
"""What detectors of Hugging Face output beside the classes of each box."""

OTHER_LABELS = ("label", "label_ids", "target", "targets", "y")
"""Keys of a batch that may be meant as its `labels`."""

CHANCE = 0.9
"""The teacher reads classes along an axis when its cross entropy there is below this share of that of guessing."""


@torch.no_grad()
def decide_outputs(loaded: LoadedTask, wanted: OutputKind | Literal["auto"], precision: Precision) -> Outputs:
    """How the task's outputs are to be read.

    Raises:
        TaskError: they cannot be read as wanted, or with `auto` in two ways, or in none.
    """
    evidence, student = (None, None) if wanted == "none" else gather_evidence(loaded, precision)
    if evidence is None or student is None:
        why = "`outputs: none` is set" if wanted == "none" else "`Task.outputs` returns None"
        return Outputs("none", has_loss=teaches_without_outputs(loaded, precision), why=why)
    form = _read(evidence) if wanted == "auto" else _stated(evidence, wanted)
    if form.kind == "values" and evidence.outputs.ndim == 4:  # images [B, C, H, W]
        form = replace(form, class_axis=-3)
    require_scores(evidence, form)
    _require_one_label_each(evidence, form)
    form = replace(form, per_token=is_per_token(loaded, precision, evidence, form))
    has_default_loss = form.kind != "embedding"  # labels beside embeddings are there to measure by
    form = replace(form, has_loss=evidence.loss is not None and (has_default_loss or has_own_loss(evidence)))
    if form.kind == "values":
        form = _standardised(loaded, precision, form)
    same_width = in_last_axis(form, evidence.outputs).shape[-1] == in_last_axis(form, student).shape[-1]
    form = configured(replace(form, same_width=same_width), loaded.teacher)
    return replace(form, next_token=not form.from_decoder and is_next_token(loaded, precision, evidence, form))


def _stated(evidence: Evidence, kind: OutputKind) -> Outputs:
    why = f"`outputs: {kind}` is set"
    if kind != "classes":
        return Outputs(kind, why=why)
    axes, labels = class_axes(evidence), evidence.labels
    if not axes and labels is not None and not labels.is_floating_point() and not _takes(evidence, labels):
        raise TaskError(_other_labels(evidence, labels))
    if len(axes) > 1:
        axes = _told_axes(evidence, axes)
    return Outputs("classes", axes[0] if len(axes) == 1 else -1, why=why)


def _require_one_label_each(evidence: Evidence, form: Outputs) -> None:
    labels = evidence.labels
    if form.kind not in ("labels", "values") or labels is None or evidence.measures_itself:
        return
    outputs, each = aligned(form, evidence.outputs, labels)
    if outputs.shape != each.shape:
        raise TaskError(_other_labels(evidence, labels))


def _takes(evidence: Evidence, labels: Tensor) -> bool:
    """Whether whole numbers that are no class for each row are shares of the classes, or the task's own affair."""
    return evidence.measures_itself or labels.shape == evidence.outputs.shape


def _read(evidence: Evidence) -> Outputs:
    """What the outputs are where the study file does not say."""
    labels = evidence.labels
    if isinstance(field(evidence.output, BOXES), Tensor) and not evidence.selects_outputs:
        raise TaskError(
            f"an object detector's outputs (with `{BOXES}`) stand for other boxes in another network and cannot be "
            "matched one by one; set `outputs: none` to match features alone, and define `Task.score` or another metric"
        )
    if labels is None:
        return _without_labels(evidence)
    if labels.is_floating_point():
        return _by_float_labels(evidence, labels)
    if axes := class_axes(evidence):
        return _by_class_axes(evidence, axes)
    return _by_whole_numbers(evidence, labels)


def _without_labels(evidence: Evidence) -> Outputs:
    name = "" if isinstance(evidence.output, Tensor) else next(iter(named_output(evidence.output) or ()), "")
    if name == LOGITS and evidence.outputs.ndim == 2:
        _require_no_other_labels(evidence)
        return Outputs("classes", why="there are no labels, and the output has `logits`")
    if name and LOGITS not in name:
        return Outputs("embedding", why=f"there are no labels, and the output has `{name}`")
    raise TaskError(_question(evidence, "there are no labels to tell what they are"))


def _require_no_other_labels(evidence: Evidence) -> None:
    batch, own = evidence.batch, type(evidence.task)
    others = [key for key in OTHER_LABELS if isinstance(batch, Mapping) and key in batch]
    if others and own.labels is Task.labels and own.loss is Task.loss:
        problem = f"batches have no `labels`, and `{others[0]}` is not read as such"
        way_out = "rename it or return it from `Task.labels(batch)`; without labels, set `outputs: classes`"
        raise TaskError(f"{problem}; {way_out}")


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
    if is_own_loss(evidence, Outputs("values")):  # also of labels 0 and 1, as of Hugging Face models with one output
        return Outputs("values", why="the loss on the labels is a squared error")
    return _of_shares(evidence, labels)


def _of_shares(evidence: Evidence, labels: Tensor) -> Outputs:
    """Labels from 0 to 1, one for each output."""
    kinds = candidates = _kinds_of_shares(labels)
    if len(kinds) > 1:
        kinds = [kind for kind in candidates if is_own_loss(evidence, Outputs(kind))]
    if len(kinds) != 1:
        raise TaskError(_question(evidence, f"labels between 0 and 1 may be {' or '.join(candidates)}"))
    why = {"classes": "shares of the classes, summing to one", "labels": "yes or no each", "values": "real numbers"}
    return Outputs(kinds[0], why=f"labels are {why[kinds[0]]}")


def _kinds_of_shares(labels: Tensor) -> list[OutputKind]:
    """What labels from 0 to 1 may be."""
    kinds: list[OutputKind] = []
    is_row, sums = labels.ndim > 1 and labels.shape[-1] > 1, labels.float().sum(-1)
    if is_row and torch.allclose(sums, torch.ones_like(sums), atol=1e-3):
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
        return _of_shares(evidence, labels)
    if evidence.measures_itself and (evidence.outputs.ndim == 2 or evidence.selects_outputs):
        return Outputs("classes", why="labels are of the task's own form; classes are on the last axis")
    raise TaskError(_other_labels(evidence, labels))


def _other_labels(evidence: Evidence, labels: Tensor) -> str:
    shapes = f"labels {list(labels.shape)} do not fit `outputs(output)` {list(evidence.outputs.shape)}"
    rule = "there must be one for each row of class scores, or for each yes or no or value"
    way_out = "return such from `Task.labels(batch)` (`.squeeze(1)` where an axis of one is too many)"
    own = "define `Task.loss` and `Task.metrics` for labels of a form of your own"
    return f"{shapes}: {rule}; {way_out}, {own}, or set `outputs: none` to match features alone"


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
