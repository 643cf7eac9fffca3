"""Batches of a dataset in a reproducible order."""

import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch

from mapsearch.core.errors import TaskError
from mapsearch.tasks.loaded_task import LoadedTask
from mapsearch.tasks.memory import is_out_of_memory
from mapsearch.tasks.nested import to_device
from mapsearch.tasks.seeding import seed_everything, step_seed
from mapsearch.tasks.user_code import describe


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


def collated(loaded: LoadedTask, data: Any, chosen: Sequence[int]) -> Any:
    """The batch of these samples, where the data is: not yet on the device.

    Raises:
        TaskError: a sample cannot be read; the message names its index.
    """
    return loaded.task.collate(samples_at(loaded, data, chosen))


def samples_at(loaded: LoadedTask, data: Any, chosen: Sequence[int]) -> list[Any]:
    """These samples of one of the task's data sets.

    Raises:
        TaskError: a sample cannot be read; the message names its index.
    """
    fetch = getattr(data, "__getitems__", None) or (lambda part: [data[i] for i in part])
    try:
        return list(fetch(chosen))
    except (Exception, SystemExit) as error:
        if is_out_of_memory(error):
            raise
        name = loaded.sample_name(data, _first_unreadable(fetch, chosen))
        raise TaskError(f"reading {name} failed: {describe(error)}") from error


def _first_unreadable(fetch: Callable[[list[int]], Any], chosen: Sequence[int]) -> int:
    for i in chosen:
        try:
            fetch([i])
        except (Exception, SystemExit):
            return i
    return chosen[0]
