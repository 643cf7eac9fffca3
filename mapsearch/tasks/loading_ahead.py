"""Batches loaded ahead by processes of their own, through torch's `DataLoader`."""

import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset, get_worker_info

from mapsearch.core.errors import TaskError
from mapsearch.tasks.nested import pinned
from mapsearch.tasks.user_code import describe

FEWEST_BATCHES = 8
"""For fewer batches, starting processes that load them takes longer than it saves."""


@dataclass(frozen=True)
class Drawn:
    """A batch, or a part of one, where the data is: not yet on the device.

    `n` counts its samples, `chosen` are their indices, none where a stream has none.
    """

    batch: Any
    n: int
    chosen: tuple[int, ...] = ()

    def pin_memory(self) -> "Drawn":
        """The batch in page-locked memory: torch's `DataLoader` asks for it."""
        return replace(self, batch=pinned(self.batch))


Parts = list[Drawn]
"""The parts of what one index of a source gives."""


def load_ahead(
    source: Dataset[Any], order: Iterable[Any] | None, n_batches: int, n_workers: int, device: torch.device
) -> Iterator[Parts]:
    """What a source gives for each index in that order, or a stream in its own: the same whatever process loads it.

    Args:
        source: gives what `told` does.

    Raises:
        TaskError: a sample cannot be read.
    """
    n_workers = n_workers if n_batches >= FEWEST_BATCHES else 0
    loader: DataLoader[Any] = DataLoader(
        source, batch_size=None, sampler=order, num_workers=n_workers, collate_fn=_as_it_is,
        pin_memory=n_workers > 0 and device.type == "cuda",
        generator=torch.Generator(),  # else it would draw from the global one
        multiprocessing_context="fork" if n_workers and sys.platform == "linux" else None,  # tasks need no pickle
    )  # fmt: skip
    for parts in loader:
        if isinstance(parts, TaskError):
            raise parts
        yield parts


def told(draw: Callable[[], Parts]) -> Parts | TaskError:
    """What was drawn; in a process of its own, an error of the user's code in words, as its traceback stays there."""
    if get_worker_info() is None:
        return draw()
    try:
        return draw()
    except (Exception, SystemExit) as error:
        return TaskError(describe(error))


def _as_it_is(parts: Any) -> Any:
    return parts
