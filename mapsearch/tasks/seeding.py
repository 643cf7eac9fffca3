"""Seeds of everything that is drawn at random."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch


def seed_everything(seed: int) -> None:
    """Seed torch, NumPy and Python: user code may draw from any of them.

    Not by `torch.manual_seed`: without a GPU it records a stack trace at every call, a tenth of a small step.
    """
    torch.default_generator.manual_seed(seed)
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.manual_seed_all(seed)
    np.random.seed(seed % 2**32)
    random.seed(seed)


@contextmanager
def drawn_apart(device: torch.device) -> Iterator[None]:
    """Leaves the generators of torch, NumPy and Python as they were before the `with` statement."""
    python, of_numpy = random.getstate(), np.random.get_state()
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(of_numpy)


def step_seed(seed: int, step: int, rank: int = 0) -> int:
    """The seed of all that is drawn in one step of a run: augmentation, dropout; each process draws its own."""
    return seed * 1_000_003 + step + rank * 7_368_787


def host_generators() -> tuple[Any, ...]:
    """The states of all generators on the host, which are equal as long as nobody draws."""
    return random.getstate(), repr(np.random.get_state()), torch.default_generator.get_state().numpy().tobytes()
