"""Seeds of everything that is drawn at random."""

import random
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


def step_seed(seed: int, step: int, rank: int = 0) -> int:
    """The seed of all that is drawn in one step of a run: augmentation, dropout; each process draws its own."""
    return seed * 1_000_003 + step + rank * 7_368_787


def host_generators() -> tuple[Any, ...]:
    """The states of all generators on the host, which are equal as long as nobody draws."""
    return random.getstate(), repr(np.random.get_state()), torch.default_generator.get_state().numpy().tobytes()
