"""Memory of a device: what is free, what training keeps, and errors that mean too little."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from mapsearch.core.spec import OptimizerName
from mapsearch.training.optimizer import OPTIMIZERS

PEAK_OVER_KEPT = 1.5
"""The peak of a step over what its forward pass keeps for the backward pass: gradients on their way come on top."""

OUT_OF_MEMORY_TEXTS = (
    "can't allocate memory",
    "not enough memory",
    "out of memory",
    "bad_alloc",
    "STATUS_ALLOC_FAILED",  # cuBLAS, cuDNN, cuSPARSE and cuSOLVER, each behind its own prefix
    "ALLOCATION_FAILED",  # cuDNN 9
)
"""What the text of a RuntimeError says when memory is what is missing."""


def free_bytes(device: torch.device) -> int | None:
    """Memory that this process could still get on the device; None where the system does not say."""
    if device.type == "cuda":
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(torch.cuda.mem_get_info(device)[0]) + unused
    known = [n for n in (_available_bytes(), _allowed_bytes()) if n is not None]
    return min(known, default=None)


def state_bytes(networks: tuple[nn.Module, ...], optimizer: OptimizerName) -> int:
    """What training keeps from step to step: weights, gradients, the optimizer's moments, buffers."""
    per_weight = OPTIMIZERS[optimizer].numbers_per_weight
    weights = sum(p.nbytes * (per_weight if p.requires_grad else 1) for n in networks for p in n.parameters())
    return weights + sum(buffer.nbytes for network in networks for buffer in network.buffers())


@dataclass
class MeasuredBytes:
    """How many bytes were taken."""

    n_bytes: int = 0


@contextmanager
def step_memory(device: torch.device, *networks: nn.Module) -> Iterator[MeasuredBytes]:
    """Measure what a training step within takes beside the state of training.

    On a GPU that is the allocator's peak, work space of convolutions included. Elsewhere it is estimated from what
    the forward pass keeps, with something for the gradients on their way.
    """
    measured = MeasuredBytes()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        yield measured
        measured.n_bytes = torch.cuda.max_memory_allocated(device) - before
    else:
        with kept_for_backward(*networks) as kept:
            yield measured
        measured.n_bytes = round(PEAK_OVER_KEPT * kept.n_bytes)


@contextmanager
def kept_for_backward(*networks: nn.Module) -> Iterator[MeasuredBytes]:
    """Count distinct memory that forward passes within keep for their backward pass, weights left out."""
    kept = MeasuredBytes()
    seen = {p.untyped_storage().data_ptr() for network in networks for p in network.parameters()}

    def count(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in seen:
            seen.add(storage.data_ptr())
            kept.n_bytes += storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
        yield kept


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means too little memory: on a CPU PyTorch has no type of its own for it."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(text in str(error) for text in OUT_OF_MEMORY_TEXTS)


def _available_bytes() -> int | None:
    """What Linux could hand out without swapping."""
    path = Path("/proc/meminfo")
    lines = path.read_text(encoding="ascii").splitlines() if path.exists() else []
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")), None)


def _allowed_bytes() -> int | None:
    """What a limit on the address space of this process leaves of it."""
    limit, path = resource.getrlimit(resource.RLIMIT_AS)[0], Path("/proc/self/statm")
    if limit == resource.RLIM_INFINITY or not path.exists():
        return None
    return max(0, limit - int(path.read_text(encoding="ascii").split()[0]) * resource.getpagesize())
