"""Features whose first axis is not the batch, read as if it were: sequences first, several rows per sample."""

from collections.abc import Sequence

from torch import Tensor

SEQUENCE_FIRST = "sequence_first"
"""The layout `[L, B, D]`, as of `torch.nn.TransformerEncoder` and `LSTM` without `batch_first`."""

PER_SAMPLE = "_per_sample"
"""The layout `[B * k, ...]` is written `k_per_sample`: the choices of multiple choice, the frames of a film."""


def layout_of(shape: Sequence[int], n: int, other: Sequence[int], n_other: int) -> str | None:
    """The layout that a feature's shapes in batches of `n` and of `n_other` samples speak for.

    None where the batch is the first axis, or no axis. That samples are in their order, only values can show.
    """
    if not shape or len(shape) != len(other) or (shape[0], other[0]) == (n, n_other):
        return None
    if len(shape) == 3 and (shape[1], other[1]) == (n, n_other):
        return SEQUENCE_FIRST
    k = shape[0] // n
    if k > 1 and (shape[0], other[0]) == (k * n, k * n_other) and len(shape) <= 4:
        return f"{k}{PER_SAMPLE}"
    return None


def samples_first(feature: Tensor, layout: str | None) -> Tensor:
    """The feature with the samples on its first axis, and where each has several rows, these on its second."""
    if layout is None:
        return feature
    if layout == SEQUENCE_FIRST:
        return feature.transpose(0, 1)
    return feature.reshape(-1, int(layout.removesuffix(PER_SAMPLE)), *feature.shape[1:])


def in_batch_first(feature: Tensor, layout: str | None) -> Tensor:
    """The feature as losses and similarities take it, `[B, ...]`.

    The k rows of a sample are k tokens, the k sequences of one become a sequence `[B, k * L, D]`, and k images
    `[C, H, W]` a map of three spatial axes, `[B, C, k, H, W]`.
    """
    by_sample = samples_first(feature, layout)
    if layout is None or layout == SEQUENCE_FIRST or by_sample.ndim == 3:
        return by_sample
    return by_sample.flatten(1, 2) if by_sample.ndim == 4 else by_sample.transpose(1, 2)
