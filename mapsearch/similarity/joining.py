"""Batches too small to compare samples within them, joined with their neighbours."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from mapsearch.core.similarity import ENOUGH_SAMPLES
from mapsearch.tasks.nested import batch_size

LEAST_BLOCK = 4
"""Samples that a debiased measure needs of a batch."""


def in_blocks(batches: Iterable[Any]) -> Iterator[Any]:
    """The batches as they are, but those of fewer than four samples joined up to 64, where their shapes agree."""
    waiting: list[Any] = []
    for batch in batches:
        if batch_size(batch) >= LEAST_BLOCK:
            yield batch
            continue
        if waiting and _form(waiting[0]) != _form(batch):
            yield _joined(waiting)
            waiting = []
        waiting.append(batch)
        if sum(map(batch_size, waiting)) >= ENOUGH_SAMPLES:
            yield _joined(waiting)
            waiting = []
    if waiting:
        yield _joined(waiting)


def _form(value: Any) -> Any:
    """What two batches must have in common to be joined: structure, types and shapes beside the samples."""
    if isinstance(value, Tensor):
        return value.dtype, value.shape[1:]
    if isinstance(value, Mapping):
        return {key: _form(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [type(value), *map(_form, value)]
    return value


def _joined(batches: Sequence[Any]) -> Any:
    first = batches[0]
    if len(batches) == 1:
        return first
    if isinstance(first, Tensor):
        return torch.cat([*batches])
    if isinstance(first, Mapping):
        return {key: _joined([batch[key] for batch in batches]) for key in first}
    if isinstance(first, (tuple, list)):
        items = [_joined(items) for items in zip(*batches, strict=True)]
        return type(first)(*items) if hasattr(first, "_fields") else type(first)(items)
    return first
