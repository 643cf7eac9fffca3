"""The learning rate over a run."""

import math

from mapsearch.core.train_spec import TrainSpec


def lr_factor(train: TrainSpec, step: int, n_steps: int) -> float:
    """Part of the peak learning rate at a step; every rung is a complete schedule."""
    return lr_part(step, n_steps, train.warmup, train.schedule)


def lr_part(step: int, n_steps: int, warmup: float, schedule: str) -> float:
    """Part of the peak learning rate: a linear rise, then the schedule."""
    n_warmup = max(1, round(warmup * n_steps))
    if step < n_warmup:
        return (step + 1) / n_warmup
    done = min(1.0, (step - n_warmup) / max(1, n_steps - n_warmup))
    if schedule == "cosine":
        return 0.5 * (1 + math.cos(math.pi * done))
    return 1 - done if schedule == "linear" else 1.0
