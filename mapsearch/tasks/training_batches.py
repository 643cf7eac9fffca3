"""The batches of a run in the order that its seed says: drawn from a dataset, or read from a stream."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import WeightedRandomSampler

from mapsearch.tasks.batches import collated
from mapsearch.tasks.loaded_task import LoadedTask
from mapsearch.tasks.nested import to_device
from mapsearch.tasks.seeding import seed_everything, step_seed
from mapsearch.tasks.streams import Stream


@dataclass(frozen=True)
class Drawn:
    """A batch, or a part of one, where the data is: not yet on the device.

    `n` counts its samples, `chosen` are their indices, none where a stream has none.
    """

    batch: Any
    n: int
    chosen: tuple[int, ...] = ()


def train_order(n: int, size: int, seed: int, n_steps: int, weights: Tensor | None = None) -> Iterator[list[int]]:
    """Which of `n` samples each of the `n_steps` batches holds; it depends on the seed alone.

    Every epoch is a fresh permutation, or with weights `[N]` a fresh draw of `n` samples with replacement; a last
    batch that is not full is left out.
    """
    size = min(size, n)
    generator = torch.Generator().manual_seed(seed)
    order: list[int] = []
    for _ in range(n_steps):
        if len(order) < size:
            order = _epoch(n, weights, generator)
        chosen, order = order[:size], order[size:]
        yield chosen


def _epoch(n: int, weights: Tensor | None, generator: torch.Generator) -> list[int]:
    if weights is None:
        return torch.randperm(n, generator=generator).tolist()
    return list(WeightedRandomSampler(weights, n, generator=generator))  # type: ignore[arg-type]  # takes tensors too


def train_batches(loaded: LoadedTask, size: int, seed: int, n_steps: int) -> Iterator[Any]:
    """The training batches on the device; what the data draws at random, such as augmentation, follows the seed."""
    for (drawn,) in drawn_batches(loaded, size, seed, n_steps):
        yield to_device(drawn.batch, loaded.device)


def drawn_batches(loaded: LoadedTask, size: int, seed: int, n_steps: int, n_parts: int = 1) -> Iterator[list[Drawn]]:
    """The training batches, each in so many parts; a stream's are those of its samples in order."""
    if isinstance(loaded.train, Stream):
        yield from _read(loaded, loaded.train, size, seed, n_steps, n_parts)
        return
    for step, chosen in enumerate(train_order(len(loaded.train), size, seed, n_steps, loaded.weights)):
        seed_everything(step_seed(seed, step))
        yield [Drawn(collated(loaded, loaded.train, part), len(part), tuple(part)) for part in _split(chosen, n_parts)]


def _read(
    loaded: LoadedTask, stream: Stream, size: int, seed: int, n_steps: int, n_parts: int
) -> Iterator[list[Drawn]]:
    samples = stream.read(seed)
    for step in range(n_steps):
        seed_everything(step_seed(seed, step))
        parts = _split(list(islice(samples, size)), n_parts)
        yield [Drawn(loaded.collate(stream, list(part)), len(part)) for part in parts]


def _split(items: Sequence[Any], n_parts: int) -> list[Sequence[Any]]:
    n = len(items)
    return [items[i * n // n_parts : (i + 1) * n // n_parts] for i in range(n_parts)]
