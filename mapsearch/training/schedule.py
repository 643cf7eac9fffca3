"""The learning rate over a run."""

import math

from mapsearch.core.train_spec import TrainSpec


def learning_rate(train: TrainSpec, step: int, n_steps: int) -> float:
    """Linear warm-up to `train.lr`, then cosine to zero over `n_steps`; every rung is a complete schedule."""
    n_warmup = max(1, round(train.warmup * n_steps))
    if step < n_warmup:
        return train.lr * ((step + 1) / n_warmup)
    return train.lr * (0.5 * (1 + math.cos(math.pi * (step - n_warmup) / max(1, n_steps - n_warmup))))
