"""The learning rate over a run."""

import math
from collections.abc import Callable

from mapsearch.core.train_spec import ScheduleName, TrainSpec


def _cosine(done: int, total: int) -> float:
    return 0.5 * (1 + math.cos(math.pi * done / total))


def _linear(done: int, total: int) -> float:
    return 1 - done / total


def _constant(done: int, total: int) -> float:
    return 1.0


SCHEDULES: dict[ScheduleName, Callable[[int, int], float]] = {
    "cosine": _cosine,
    "linear": _linear,
    "constant": _constant,
}
"""From how many steps are done after the warm-up, and how many there are, to the part of the peak learning rate."""


def lr_factor(train: TrainSpec, step: int, n_steps: int) -> float:
    """Part of the peak learning rate: linear warm-up, then the schedule; every rung is a complete schedule."""
    n_warmup = max(1, round(train.warmup * n_steps))
    if step < n_warmup:
        return (step + 1) / n_warmup
    return SCHEDULES[train.schedule](step - n_warmup, max(1, n_steps - n_warmup))
