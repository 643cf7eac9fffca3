"""What the samples of a batch hold, as digests: whether two looks at a sample show the same."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from mapsearch.tasks.nested import batch_size


def row_digests(batch: Any, rows: Sequence[int] | None = None) -> Tensor | None:
    """A 64-bit digest `[B]` (int64, never 0) of all that a batch on the CPU holds of each sample, or of these rows.

    Anything but a tensor `[B, ...]` counts for every sample. None when the batch holds objects that cannot be read.
    """
    form = _common(batch)
    if form is None:
        return None
    n = batch_size(batch)
    chosen = range(n) if rows is None else rows
    tensors = [leaf for leaf in _leaves(batch) if _has_rows(leaf, n)]
    parts = [_bytes(x if rows is None else x.index_select(0, torch.tensor(rows).to(x.device))) for x in tensors]
    digests = []
    for i in range(len(chosen)):
        digest = form.copy()
        for part in parts:
            digest.update(part[i])
        digests.append(_number(digest))
    return torch.tensor(digests, dtype=torch.int64)


class KnownDigests:
    """The digests of samples by index: each is read when it is first seen, and one of every batch again.

    Where that one has changed, `varies` is set, and from then on every sample is read whenever it comes.

    Args:
        n: number of samples; indices are below it.
    """

    def __init__(self, n: int) -> None:
        self.varies = False
        self._digests, self._forms = torch.zeros(2, n, dtype=torch.int64)  # 0: not seen
        self._n_batches = 0

    def of(self, batch: Any, chosen: Sequence[int]) -> Tensor | None:
        """The digests `[B]` of a batch on the CPU of these samples, as `row_digests` gives them."""
        form, ids = _common(batch), torch.tensor(chosen)
        if form is None:
            return None
        before, is_known = self._digests[ids], self._forms[ids] == _number(form)
        is_read = ~is_known if not self.varies else torch.ones_like(is_known)
        is_read[self._n_batches % len(ids)] = True
        digests: Tensor = before.clone()
        read = row_digests(batch, is_read.nonzero().flatten().tolist())
        assert read is not None, "its form could be read"
        digests[is_read] = read
        if not self.varies and bool(((digests != before) & is_known).any()):
            self.varies = True
            return self.of(batch, chosen)
        self._digests[ids], self._forms[ids] = digests, _number(form)
        self._n_batches += 1
        return digests


def _common(batch: Any) -> Any | None:
    """The hash of all that a batch holds but the rows of its samples; None where an object cannot be read."""
    n, leaves = batch_size(batch), [*_leaves(batch)]
    if not all(leaf is None or isinstance(leaf, (Tensor, str, int, float, bytes)) for leaf in leaves):
        return None
    return hashlib.sha256(repr([_form(leaf, n) for leaf in leaves]).encode())


def _number(digest: Any) -> int:
    return int.from_bytes(digest.digest()[:8], "little", signed=True) or 1


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


def _bytes(tensor: Tensor) -> Any:
    return tensor.detach().cpu().contiguous().reshape(len(tensor), -1).view(torch.uint8).numpy()
