"""Padding in a batch of token ids whose task gives no mask."""

from typing import Any

import torch
from torch import Tensor

from mapsearch.tasks.nested import tensors_of
from mapsearch.tasks.task import inputs_of


def padding_share(batch: Any) -> float:
    """The share of positions that look like padding, in [0, 1].

    Looked at are the first integer inputs `[B, L]`. An id counts as padding when it fills the end (or
    the start) of at least two rows, to different lengths, and occurs nowhere else.
    """
    inputs = tensors_of(inputs_of(batch))
    ids = next((x for x in inputs if x.ndim == 2 and x.shape[1] > 1 and _is_integer(x)), None)
    return 0.0 if ids is None else max(_share_at_end(ids), _share_at_end(ids.flip(1)))


def _share_at_end(ids: Tensor) -> float:
    is_filler = ids == ids[:, -1].mode().values
    lengths = is_filler.flip(1).long().cumprod(1).sum(1)  # [B], of the run of fillers at the end
    stands_elsewhere = bool(is_filler.sum() > lengths.sum())
    varies = bool(lengths.min() < lengths.max())
    if stands_elsewhere or not varies or int((lengths > 0).sum()) < 2 or int(lengths.max()) < 2:
        return 0.0
    return float(lengths.sum() / ids.numel())


def _is_integer(tensor: Tensor) -> bool:
    return tensor.dtype in (torch.int64, torch.int32, torch.int16)
