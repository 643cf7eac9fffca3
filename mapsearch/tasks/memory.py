"""Memory of a device: what is free, and errors that mean too little."""

import gc
import resource
from pathlib import Path

import torch

from mapsearch.core.errors import TaskError
from mapsearch.tasks.control_groups import group_bytes_left

OUT_OF_MEMORY_TEXTS = (
    "can't allocate memory",
    "not enough memory",
    "out of memory",
    "bad_alloc",
    "STATUS_ALLOC_FAILED",  # cuBLAS, cuDNN, cuSPARSE and cuSOLVER, each behind its own prefix
    "ALLOCATION_FAILED",  # cuDNN 9
)
"""One of these is in the text of a RuntimeError that means too little memory."""


LIMITS = {resource.RLIMIT_AS: 0, resource.RLIMIT_DATA: 5}
"""Limits on the address space of a process and on what of it is its own, and where `/proc/self/statm` counts those."""


def free_bytes(device: torch.device) -> int | None:
    """Memory that this process could still get on the device; None where the system does not report it."""
    if device.type == "cuda":
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(torch.cuda.mem_get_info(device)[0]) + unused
    known = [n for n in (_available_bytes(), _allowed_bytes(), group_bytes_left()) if n is not None]
    return min(known, default=None)


def free_unused_memory() -> None:
    """Give back what this process holds and no longer uses; of a GPU, all but the context, some hundred MB."""
    gc.collect()  # a network or optimizer in a reference cycle would keep its memory
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.empty_cache()


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means too little memory, also one of the user's code: on a CPU PyTorch has no type for it."""
    if isinstance(error, TaskError) and error.__cause__ is not None:
        return is_out_of_memory(error.__cause__)
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(text in str(error) for text in OUT_OF_MEMORY_TEXTS)


def _available_bytes() -> int | None:
    """What Linux could hand out without swapping."""
    path = Path("/proc/meminfo")
    lines = path.read_text(encoding="ascii").splitlines() if path.exists() else []
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")), None)


def _allowed_bytes() -> int | None:
    """What limits on this process leave of them: on its address space, and on what of that is its own."""
    path = Path("/proc/self/statm")
    pages = path.read_text(encoding="ascii").split() if path.exists() else []
    left = [
        resource.getrlimit(limit)[0] - int(pages[field]) * resource.getpagesize()
        for limit, field in LIMITS.items()
        if pages and resource.getrlimit(limit)[0] != resource.RLIM_INFINITY
    ]
    return max(0, min(left)) if left else None
