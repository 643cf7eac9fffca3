"""The batches of a run in the order that its seed says: drawn from a dataset, or read from a stream."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset, IterableDataset, WeightedRandomSampler

from mapsearch.core.errors import TaskError
from mapsearch.tasks.batches import collated
from mapsearch.tasks.loaded_task import LoadedTask
from mapsearch.tasks.loading_ahead import Drawn, Parts, load_ahead, told
from mapsearch.tasks.nested import to_device
from mapsearch.tasks.seeding import seed_everything, step_seed
from mapsearch.tasks.streams import Stream


@dataclass(frozen=True)
class Place:
    """What of a run's batches a process reads: from step `start` on, of each batch the `rank`-th of `n` parts."""

    start: int = 0
    rank: int = 0
    n: int = 1


WHOLE = Place()


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


def drawn_batches(
    loaded: LoadedTask,
    size: int,
    seed: int,
    n_steps: int,
    n_parts: int = 1,
    accumulate: int = 1,
    place: Place = WHOLE,
) -> Iterator[Parts]:
    """What each of `n_steps` steps trains on: `accumulate` training batches, each in so many parts.

    A stream's batches are those of its samples in order.

    Args:
        place: steps before its start are left out; of a stream they are read all the same.

    They are the same whatever process draws them, as each step seeds all generators.

    Raises:
        TaskError: a sample cannot be read.
    """
    if isinstance(loaded.train, Stream):
        steps = _StreamSteps(loaded, loaded.train, size, seed, n_steps, n_parts, accumulate, place)
        n_workers = min(loaded.loader_workers, 1)  # several would each read all of it
        yield from load_ahead(steps, None, n_steps - place.start, n_workers, loaded.device)
        return
    batches = train_order(len(loaded.train), size, seed, n_steps * accumulate, loaded.weights)
    order = islice(enumerate(zip(*[batches] * accumulate, strict=True)), place.start, None)
    source, n_left = _Steps(loaded, seed, n_parts, place), n_steps - place.start
    yield from load_ahead(source, order, n_left, loaded.loader_workers, loaded.device)


class _Steps(Dataset[Any]):
    """The batches of a map-style dataset by (step, indices of the samples of each batch)."""

    def __init__(self, loaded: LoadedTask, seed: int, n_parts: int, place: Place) -> None:
        self._loaded, self._seed, self._n_parts, self._place = loaded, seed, n_parts, place

    def __getitem__(self, at: tuple[int, Sequence[list[int]]]) -> Parts | TaskError:
        return told(partial(self._drawn, *at))

    def _drawn(self, step: int, batches: Sequence[list[int]]) -> Parts:
        seed_everything(step_seed(self._seed, step, self._place.rank))
        loaded, parts = (
            self._loaded,
            [part for chosen in batches for part in _split(chosen, self._n_parts, self._place)],
        )
        return [Drawn(collated(loaded, loaded.train, part), len(part), tuple(part)) for part in parts]


class _StreamSteps(IterableDataset[Any]):
    """The batches of a stream in order."""

    def __init__(
        self,
        loaded: LoadedTask,
        stream: Stream,
        size: int,
        seed: int,
        n_steps: int,
        n_parts: int,
        accumulate: int,
        place: Place,
    ) -> None:
        self._loaded, self._stream, self._size, self._seed = loaded, stream, size, seed
        self._n_steps, self._n_parts, self._accumulate, self._place = n_steps, n_parts, accumulate, place

    def __iter__(self) -> Iterator[Parts | TaskError]:
        samples = self._stream.read(self._seed)
        for step in range(self._place.start):
            self._read(samples, step)
        return (told(partial(self._drawn, samples, step)) for step in range(self._place.start, self._n_steps))

    def _read(self, samples: Iterator[Any], step: int) -> list[list[Any]]:
        seed_everything(step_seed(self._seed, step))
        return [list(islice(samples, self._size)) for _ in range(self._accumulate)]

    def _drawn(self, samples: Iterator[Any], step: int) -> Parts:
        batches = self._read(samples, step)
        parts = [part for batch in batches for part in _split(batch, self._n_parts, self._place)]
        return [Drawn(self._loaded.collate(self._stream, list(part)), len(part)) for part in parts]


def _split(items: Sequence[Any], n_parts: int, place: Place) -> list[Sequence[Any]]:
    """This process's parts of a batch."""
    n, n_all = len(items), n_parts * place.n
    mine = range(place.rank * n_parts, (place.rank + 1) * n_parts)
    return [items[i * n // n_all : (i + 1) * n // n_all] for i in mine]
