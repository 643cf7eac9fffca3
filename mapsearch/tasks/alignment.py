"""What of a network's outputs is held against what of a batch's labels."""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor

from mapsearch.core.masks import OUTPUTS, mask_for
from mapsearch.core.outputs import Outputs
from mapsearch.tasks.default_losses import UNLABELLED
from mapsearch.tasks.masks import Masks


def aligned(form: Outputs, outputs: Tensor, labels: Tensor, masks: Masks = None) -> tuple[Tensor, Tensor]:
    """Outputs `[B, ..., C]` and labels `[B, ...]`, position by position.

    Classes, and the values of an image, are moved to the last axis, a lone number per sample or token gets an axis of
    its own, and where the label of a position is its own input, the output is held against the next one. Class scores
    of an image in fewer places than labels are interpolated to them, as Hugging Face's segmentation models do for their
    own loss. Labels of padded tokens are -100.
    """
    outputs, labels = in_last_axis(form, outputs), without_padding(form, labels, masks)
    if form.kind == "classes" and isinstance(labels, Tensor) and is_coarser(outputs.shape, labels.shape):
        fine = F.interpolate(
            outputs.movedim(-1, 1).float(), size=labels.shape[1:], mode="bilinear", align_corners=False
        )
        outputs = fine.movedim(1, -1)
    if form.next_token:
        outputs, labels = outputs[:, :-1], labels[:, 1:]
    if form.kind in ("labels", "values"):
        one_each = labels.ndim == outputs.ndim - 1
        labels = labels.unsqueeze(-1) if one_each else labels.movedim(form.class_axis, -1)
    return outputs, labels


def without_padding(form: Outputs, labels: Tensor, masks: Masks) -> Tensor:
    """Labels with -100 for each token `[B, L]` that the mask of the outputs leaves out; values have no such mark."""
    of_tokens = labels.ndim == 2 if form.kind == "classes" else form.per_token or labels.ndim == 3
    mask = mask_for(masks, OUTPUTS)
    if form.kind not in ("classes", "labels") or not of_tokens or mask is None or mask.shape != labels.shape[:2]:
        return labels
    labels = labels if labels.is_floating_point() else labels.long()
    return labels.masked_fill(~mask.view(*mask.shape, *[1] * (labels.ndim - 2)), UNLABELLED)


def is_coarser(outputs: Sequence[int], labels: Sequence[int]) -> bool:
    """Whether outputs `[B, h, w, C]` say in fewer places what labels `[B, H, W]` say in whole multiples of them."""
    if (len(outputs), len(labels)) != (4, 3) or outputs[0] != labels[0]:
        return False
    ratios = [(label // output, label % output) for output, label in zip(outputs[1:3], labels[1:], strict=True)]
    return ratios[0] == ratios[1] and ratios[0][0] > 1 and not ratios[0][1]


def in_last_axis(form: Outputs, outputs: Tensor) -> Tensor:
    """Outputs with their classes, labels, values or dimensions on the last axis, `[B, ..., C]`."""
    one_each = form.per_token or (outputs.ndim == 1 and form.kind != "classes")
    return outputs.unsqueeze(-1) if one_each else outputs.movedim(form.class_axis, -1)
