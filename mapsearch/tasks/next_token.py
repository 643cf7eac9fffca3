"""Causal language models: labels that are the inputs, and a teacher that does not see what it predicts."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from mapsearch.core.errors import TaskError
from mapsearch.core.outputs import Outputs
from mapsearch.tasks.alignment import in_last_axis
from mapsearch.tasks.default_losses import UNLABELLED
from mapsearch.tasks.loaded_task import LoadedTask
from mapsearch.tasks.output_evidence import Evidence, is_own_loss
from mapsearch.tasks.outputs import float_outputs
from mapsearch.tasks.precision import Precision, forward_in
from mapsearch.tasks.task import inputs_of


def is_next_token(loaded: LoadedTask, precision: Precision, evidence: Evidence, form: Outputs) -> bool:
    """Whether labels are the inputs themselves, as causal language models take them, and the teacher is causal.

    Raises:
        TaskError: the teacher is not: it sees what it is to predict.
    """
    labels, ids = evidence.labels, _token_ids(evidence.batch)
    if form.kind != "classes" or labels is None or ids is None or labels.ndim != 2 or labels.shape != ids.shape:
        return False
    known = labels != UNLABELLED
    if labels.shape[1] < 2 or not bool(known.any()):
        return False
    if not torch.equal(labels[known], ids[known]):
        _require_shifted_once(evidence, form, labels[:, :-1][known[:, :-1]], ids[:, 1:][known[:, :-1]])
        return False
    forward = forward_in(precision, loaded)
    changed = ids.clone()
    changed[:, -1] = (ids[:, -1] + 1) % (ids.max() + 1)
    other = float_outputs(loaded.task, forward(loaded.teacher, _with_ids(evidence.batch, changed))).float()
    before, after = (in_last_axis(form, x)[:, :-1] for x in (evidence.outputs, other))
    if not torch.allclose(before, after, rtol=1e-2, atol=1e-3):
        raise TaskError(
            "the labels are the inputs themselves, and the teacher sees them: there is nothing to predict; mask the "
            "inputs, or return the right labels by `Task.labels(batch)`"
        )
    return True


def _require_shifted_once(evidence: Evidence, form: Outputs, labels: Tensor, next_ids: Tensor) -> None:
    if len(labels) and torch.equal(labels, next_ids) and is_own_loss(evidence, replace(form, next_token=True)):
        raise TaskError(
            "the labels are the next tokens already, and the model's own loss moves them by one more; "
            "give `labels` that equal `input_ids`, as models of Hugging Face take them"
        )


def _token_ids(batch: Any) -> Tensor | None:
    inputs = inputs_of(batch)
    ids = inputs.get("input_ids") if isinstance(inputs, Mapping) else inputs
    return ids if isinstance(ids, Tensor) and not ids.is_floating_point() else None


def _with_ids(batch: Any, ids: Tensor) -> Any:
    if isinstance(batch, Mapping):
        return {**batch, "input_ids": ids}
    return (ids, *batch[1:]) if isinstance(batch, (tuple, list)) else ids
