"""The tensors of a batch or of a network's output, however deep they are nested in tuples, lists and dicts."""

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from mapsearch.core.errors import TaskError


def batch_size(batch: Any) -> int:
    """Number of samples of a batch: the length of its first tensor.

    Raises:
        TaskError: the batch holds no tensor.
    """
    first = next((tensor for tensor in tensors_of(batch) if tensor.ndim), None)
    if first is None:
        raise TaskError(f"`collate()` must return a batch with a tensor `[B, ...]`, but got {type(batch).__name__}")
    return len(first)


def tensors_of(batch: Any) -> Iterator[Tensor]:
    """The tensors of a batch in order, however deep they lie."""
    if isinstance(batch, Tensor):
        yield batch
    elif isinstance(batch, (Mapping, tuple, list)):
        for value in batch.values() if isinstance(batch, Mapping) else batch:
            yield from tensors_of(value)


def first_samples(batch: Any, n: int) -> Any:
    """The batch cut to its first `n` samples; its structure is kept."""
    size = batch_size(batch)
    return _mapped(batch, lambda tensor: tensor[:n] if tensor.ndim and len(tensor) == size else tensor)


def with_tensors(sample: Any) -> Any:
    """A dict's lists of numbers as tensors: collated as lists they would come out as one tensor for each position."""
    if not isinstance(sample, Mapping):
        return sample
    return {key: torch.tensor(value) if _is_numbers(value) else value for key, value in sample.items()}


def _is_numbers(value: Any) -> bool:
    """Whether these are numbers, or rows of as many numbers each."""
    if not isinstance(value, list) or not value:
        return False
    if all(isinstance(item, list) for item in value):
        return len({len(item) for item in value}) == 1 and all(map(_is_numbers, value))
    return all(isinstance(item, (int, float)) for item in value)


def to_device(batch: Any, device: torch.device) -> Any:
    """The batch with every tensor on the device; its structure is kept."""
    return _mapped(batch, lambda tensor: tensor.to(device, non_blocking=True))


def pinned(batch: Any) -> Any:
    """The batch with every tensor in page-locked memory, which a GPU copies from while it works."""
    return _mapped(batch, Tensor.pin_memory)


def copied(batch: Any) -> Any:
    """The batch with a copy of every tensor; its structure is kept."""
    return _mapped(batch, Tensor.clone)


def form(batch: Any) -> Any:
    """All of a batch but the numbers in its tensors: batches of one form can be copied into each other."""
    if isinstance(batch, Tensor):
        return batch.shape, batch.dtype
    if isinstance(batch, Mapping):
        return tuple((key, form(value)) for key, value in batch.items())
    return tuple(form(value) for value in batch) if isinstance(batch, (tuple, list)) else batch


def in_dtype(batch: Any, dtype: torch.dtype) -> Any:
    """The batch with its floating point tensors in another type; its structure is kept."""
    return _mapped(batch, lambda tensor: tensor.to(dtype) if tensor.is_floating_point() else tensor)


def in_float32(output: Any) -> Any:
    """The output with float32 for half precision, which NumPy does not know; as it is where there is none."""
    if not any(tensor.dtype in (torch.bfloat16, torch.float16) for tensor in tensors_of(output)):
        return output
    return _mapped_output(output, lambda tensor: tensor.float() if tensor.is_floating_point() else tensor)


def with_rows(output: Any, n: int, change: Callable[[Tensor], Tensor]) -> Any:
    """A network's output with every tensor of `n` rows of floats changed."""
    return _mapped_output(
        output, lambda tensor: change(tensor) if tensor.is_floating_point() and tensor.shape[:1] == (n,) else tensor
    )


def _mapped_output(output: Any, change: Callable[[Tensor], Tensor]) -> Any:
    changed = _mapped(output, change)
    return type(output)(changed) if isinstance(output, OrderedDict) else changed  # Hugging Face's outputs are such


def _mapped(batch: Any, change: Callable[[Tensor], Tensor]) -> Any:
    if isinstance(batch, Tensor):
        return change(batch)
    if isinstance(batch, Mapping):
        return {key: _mapped(value, change) for key, value in batch.items()}
    if isinstance(batch, (tuple, list)):
        changed = [_mapped(value, change) for value in batch]
        if isinstance(batch, list):
            return changed
        return type(batch)(*changed) if hasattr(batch, "_fields") else tuple(changed)  # a named tuple keeps its names
    return batch
