"""What of a network's outputs is held against what of a batch's labels."""

from torch import Tensor

from mapsearch.core.outputs import Outputs


def aligned(form: Outputs, outputs: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Outputs `[B, ..., C]` and labels `[B, ...]`, position by position.

    Classes are moved to the last axis, a lone number per sample gets an axis of its own, and where the label of a
    position is its own input, the output is held against the next one.
    """
    outputs = in_last_axis(form, outputs)
    if form.next_token:
        outputs, labels = outputs[:, :-1], labels[:, 1:]
    if form.kind in ("labels", "values") and labels.ndim == outputs.ndim - 1:
        labels = labels.unsqueeze(-1)
    return outputs, labels


def in_last_axis(form: Outputs, outputs: Tensor) -> Tensor:
    """Outputs with their classes, labels, values or dimensions on the last axis, `[B, ..., C]`."""
    if form.kind == "classes":
        return outputs.movedim(form.class_axis, -1)
    return outputs.unsqueeze(-1) if outputs.ndim == 1 else outputs
