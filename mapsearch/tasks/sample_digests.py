"""What the samples of a batch hold, as digests: whether two looks at a sample show the same."""

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from mapsearch.tasks.batches import collated
from mapsearch.tasks.loaded_task import LoadedTask
from mapsearch.tasks.nested import batch_size
from mapsearch.tasks.seeding import seed_everything

N_COMPARED_SAMPLES = 64
"""Samples that are read twice, spread over the data."""


def row_digests(batch: Any) -> Tensor | None:
    """A 64-bit digest `[B]` (int64, never 0) of all that a batch on the CPU holds of each sample.

    Anything but a tensor `[B, ...]` counts for every sample. None when the batch holds objects that cannot be read.
    """
    n, leaves = batch_size(batch), [*_leaves(batch)]
    if not all(leaf is None or isinstance(leaf, (Tensor, str, int, float, bytes)) for leaf in leaves):
        return None
    rows = [_bytes(leaf, n) for leaf in leaves if _has_rows(leaf, n)]  # each [B, bytes]
    common = hashlib.sha256(repr([_form(leaf, n) for leaf in leaves]).encode())
    digests = []
    for i in range(n):
        digest = common.copy()
        for row in rows:
            digest.update(row[i])
        digests.append(int.from_bytes(digest.digest()[:8], "little", signed=True) or 1)
    return torch.tensor(digests)


def why_not_fixed(loaded: LoadedTask) -> str:
    """Why the training samples must be shown to the teacher anew each time; empty when they are fixed.

    They are when a second look, under another seed and in a smaller batch, shows the same.
    """
    n = len(loaded.train)
    chosen = sorted({i * n // N_COMPARED_SAMPLES for i in range(N_COMPARED_SAMPLES)})
    middle = len(chosen) // 2
    first, again = (_look(loaded, chosen, seed) for seed in (0, 1))
    halves = [_look(loaded, part, 1) for part in (chosen[:middle], chosen[middle:])]
    if first is None or again is None or halves[0] is None or halves[1] is None:
        return "batches hold objects whose content cannot be compared"
    if not torch.equal(first, again):
        return "training samples come out different at a second look (random augmentation)"
    if not torch.equal(again, torch.cat(halves)):  # type: ignore[arg-type]
        return "training samples depend on the batch they come in (padding to its longest, or mixing)"
    return ""


def _look(loaded: LoadedTask, chosen: list[int], seed: int) -> Tensor | None:
    seed_everything(seed)
    return row_digests(collated(loaded, loaded.train, chosen))


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, Mapping):
        for key in value:
            yield str(key)
            yield from _leaves(value[key])
    elif isinstance(value, (tuple, list)):
        for item in value:
            yield from _leaves(item)
    else:
        yield value


def _has_rows(leaf: Any, n: int) -> bool:
    return isinstance(leaf, Tensor) and leaf.ndim > 0 and len(leaf) == n


def _form(leaf: Any, n: int) -> Any:
    """All but the rows: the type and shape of a row, so that padding to another length is another sample."""
    if _has_rows(leaf, n):
        return leaf.dtype, leaf.shape[1:]
    return (leaf.dtype, leaf.tolist()) if isinstance(leaf, Tensor) else leaf


def _bytes(tensor: Tensor, n: int) -> Any:
    return tensor.detach().cpu().contiguous().reshape(n, -1).view(torch.uint8).numpy()
