"""Which tokens of a batch are real, where the task does not say."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from mapsearch.core.masks import OUTPUTS
from mapsearch.tasks.default_losses import UNLABELLED

Masks = Tensor | Mapping[str, Tensor] | None
"""One mask for all layers, or several by name and glob of the layers."""

Windows = Sequence[tuple[int, int]]


def mask_of(batch: Any, windows: Windows = ()) -> Tensor | None:
    """Real positions of a dict's tokens, bool `[B, L]`: its `attention_mask`, else None.

    The sequences of a sample with several, as of multiple choice, follow each other: `[B, k, L]` is `[B, k * L]`.

    Args:
        windows: kernel and stride of each convolution that makes tokens of sound (`input_values`).
    """
    if not (isinstance(batch, Mapping) and "attention_mask" in batch):
        return None
    mask: Tensor = batch["attention_mask"].bool().flatten(1)
    return _of_windows(mask, windows) if windows and "input_values" in batch else mask


def decoder_masks(batch: Any, windows: Windows = ()) -> Masks:
    """The masks of an encoder, of a decoder and of what that outputs.

    The decoder's tokens are real where its own `decoder_attention_mask` says so, or else up to the last label `[B, L]`
    that is not -100. Where nothing tells them, the mask is the encoder's for all.
    """
    encoder, decoder = mask_of(batch, windows), _of_decoder(batch)
    if decoder is None:
        return encoder
    masks = dict.fromkeys((OUTPUTS, "decoder", "*.decoder"), decoder)
    return masks if encoder is None else masks | {"*": encoder}


def _of_windows(mask: Tensor, windows: Windows) -> Tensor:
    """The tokens whose windows lie within the real samples, which come first: `[B, samples]` -> bool `[B, L]`."""
    n_real, n = mask.sum(1, keepdim=True), mask.shape[1]
    for kernel, stride in windows:
        n_real, n = (n_real - kernel) // stride + 1, (n - kernel) // stride + 1
    return torch.arange(n, device=mask.device) < n_real


def _of_decoder(batch: Any) -> Tensor | None:
    if not isinstance(batch, Mapping):
        return None
    if (mask := batch.get("decoder_attention_mask")) is not None:
        return mask.bool()  # type: ignore[no-any-return]
    labels = batch.get("labels")
    if not isinstance(labels, Tensor) or labels.ndim != 2:
        return None
    return (labels != UNLABELLED).flip(1).long().cummax(1).values.flip(1).bool()
