"""Batches of chosen samples, and of all samples of a data set in their order."""

import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from torch.utils.data import Dataset

from mapsearch.core.errors import TaskError
from mapsearch.tasks.loaded_task import LoadedTask
from mapsearch.tasks.loading_ahead import Drawn, Parts, load_ahead, told
from mapsearch.tasks.memory import is_out_of_memory
from mapsearch.tasks.nested import to_device
from mapsearch.tasks.user_code import describe


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


def measured_batches(loaded: LoadedTask, data: Any, size: int) -> Iterator[Any]:
    """All batches on the device, in the order of the data; loaded ahead where the study wants that."""
    order = [range(start, min(start + size, len(data))) for start in range(0, len(data), size)]
    for (drawn,) in load_ahead(_Batches(loaded, data), order, len(order), loaded.loader_workers, loaded.device):
        yield to_device(drawn.batch, loaded.device)


class _Batches(Dataset[Any]):
    """The batches of a data set by the indices of their samples."""

    def __init__(self, loaded: LoadedTask, data: Any) -> None:
        self._loaded, self._data = loaded, data

    def __getitem__(self, chosen: Sequence[int]) -> Parts | TaskError:
        return told(lambda: [Drawn(collated(self._loaded, self._data, list(chosen)), len(chosen))])


def collated(loaded: LoadedTask, data: Any, chosen: Sequence[int]) -> Any:
    """The batch of these samples, where the data is: not yet on the device.

    Raises:
        TaskError: a sample cannot be read; the message names its index.
    """
    return loaded.collate(data, samples_at(loaded, data, chosen))


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
