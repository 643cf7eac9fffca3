"""Batches of a dataset in a reproducible order, and the metrics of models over them."""

import random
from collections.abc import Iterator, Sequence
from math import nan
from typing import Any

import torch
from torch import Tensor, nn

from mapsearch.core.errors import TaskError, did_you_mean
from mapsearch.tasks.loading import LoadedTask, seed_everything
from mapsearch.tasks.task import batch_size, to_device


def train_order(n: int, size: int, seed: int, n_steps: int) -> Iterator[list[int]]:
    """Which of `n` samples each of the `n_steps` batches holds; it depends on the seed alone.

    Every epoch is a fresh permutation; a last batch that is not full is left out.
    """
    size = min(size, n)
    generator = torch.Generator().manual_seed(seed)
    order: list[int] = []
    for _ in range(n_steps):
        if len(order) < size:
            order = torch.randperm(n, generator=generator).tolist()
        chosen, order = order[:size], order[size:]
        yield chosen


def train_batches(loaded: LoadedTask, size: int, seed: int, n_steps: int) -> Iterator[Any]:
    """The training batches on the device; what the data draws at random, such as augmentation, follows the seed."""
    for step, chosen in enumerate(train_order(len(loaded.train), size, seed, n_steps)):
        seed_everything(step_seed(seed, step))
        yield to_device(collated(loaded, loaded.train, chosen), loaded.device)


def step_seed(seed: int, step: int) -> int:
    """The seed of all that is drawn in one step of a run: augmentation, dropout."""
    return seed * 1_000_003 + step


def ordered_batches(
    loaded: LoadedTask, data: Any, size: int, limit: int | None = None, seed: int | None = None
) -> Iterator[Any]:
    """Batches on the device, in the order of the data, or with a seed in a shuffled one.

    With a limit, that many samples spread over all of the data.
    """
    n = len(data)
    chosen = list(range(n)) if limit is None or limit >= n else [i * n // limit for i in range(limit)]
    if seed is not None:
        random.Random(seed).shuffle(chosen)
    for start in range(0, len(chosen), size):
        yield to_device(collated(loaded, data, chosen[start : start + size]), loaded.device)


@torch.no_grad()
def evaluate(loaded: LoadedTask, models: Sequence[nn.Module], data: Any, size: int = 256) -> list[dict[str, float]]:
    """The metrics of each model over all of the data, in eval mode; the mode is restored.

    Raises:
        TaskError: the metrics are not a mapping of names to numbers.
    """
    modes = [model.training for model in models]
    sums = [MetricSums() for _ in models]
    for model in models:
        model.eval()
    try:
        for batch in ordered_batches(loaded, data, size):
            for model, total in zip(models, sums, strict=True):
                total.add(loaded.task.metrics(loaded.task.forward(model, batch), batch), batch_size(batch))
    finally:
        for model, mode in zip(models, modes, strict=True):
            model.train(mode)
    return [total.means() for total in sums]


class MetricSums:
    """Running sums of what `Task.metrics` returns."""

    def __init__(self) -> None:
        self._sums: dict[str, float] = {}
        self._counts: dict[str, float] = {}

    def add(self, metrics: Any, n_samples: int) -> None:
        """Count one batch in: tensors per element (NaN left out), numbers by batch size.

        Raises:
            TaskError: the metrics are no dict of names to numbers or tensors.
        """
        if not isinstance(metrics, dict) or not metrics:
            raise TaskError(f"`metrics()` must return a dict of name to value, but got {type(metrics).__name__}")
        for name, value in metrics.items():
            try:
                values = torch.as_tensor(value, dtype=torch.float64)
            except (TypeError, ValueError, RuntimeError):
                given = type(value).__name__
                raise TaskError(f"`metrics()`: `{name}` must be a number or a tensor, but got {given}") from None
            if values.ndim:
                counted = values[~values.isnan()]
                total, count = float(counted.sum()), float(counted.numel())
            else:
                total, count = float(values) * n_samples, float(n_samples)
            self._sums[name] = self._sums.get(name, 0.0) + total
            self._counts[name] = self._counts.get(name, 0.0) + count

    def means(self) -> dict[str, float]:
        """Mean per counted sample; NaN where nothing was counted."""
        return {name: total / self._counts[name] if self._counts[name] else nan for name, total in self._sums.items()}


def metric_of(metrics: dict[str, float], name: str) -> float:
    """The study's metric.

    Raises:
        TaskError: the task does not measure it.
    """
    if name not in metrics:
        hint = did_you_mean(name, list(metrics)) or f"; it measures {', '.join(sorted(metrics))}"
        raise TaskError(f"`metric: {name}` is not measured by the task{hint}")
    return metrics[name]


def collated(loaded: LoadedTask, data: Any, chosen: Sequence[int]) -> Any:
    """The batch of these samples, where the data is: not yet on the device."""
    fetch = getattr(data, "__getitems__", None)
    return loaded.task.collate(fetch(chosen) if fetch is not None else [data[i] for i in chosen])


def logits_of(loaded: LoadedTask, output: Any) -> Tensor:
    """The output's logits.

    Raises:
        TaskError: they are no float tensor with at least two classes on its last axis.
    """
    logits = loaded.task.logits(output)
    if not isinstance(logits, Tensor) or not logits.is_floating_point() or logits.ndim < 2 or logits.shape[-1] < 2:
        shape = list(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise TaskError(f"`logits(output)` must return float class scores `[..., C]` with C >= 2, but got {shape}")
    return logits
