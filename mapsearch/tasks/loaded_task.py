"""LoadedTask: a task with its teacher and data in place, as every step works with it."""

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import Subset

from mapsearch.core.errors import TaskError
from mapsearch.core.events import Message
from mapsearch.core.runs import Split
from mapsearch.tasks.loaders import LoaderSamples
from mapsearch.tasks.samples import redraws, sample_weights, training_samples
from mapsearch.tasks.seeding import seed_everything
from mapsearch.tasks.streams import Stream
from mapsearch.tasks.task import Task
from mapsearch.tasks.user_code import no_exit


@dataclass(frozen=True)
class LoadedTask:
    """A task made ready in this process: the teacher frozen on the device, the data split.

    `train` is a map-style dataset or a `Stream`; `weights` `[N]` are those with which its samples are drawn, None where
    all are drawn alike. `loader_workers` processes load training batches ahead.
    """

    task: Task
    teacher: nn.Module
    train: Any
    valid: Any
    test: Any
    device: torch.device
    messages: tuple[Message, ...] = ()
    weights: Tensor | None = None
    loader_workers: int = 0

    def split(self, name: Split) -> Any:
        """The samples the search (`valid`) or the verdict (`test`) measures on."""
        return self.test if name == "test" else self.valid

    @property
    def redraws(self) -> bool:
        """Whether each seed draws its own training samples."""
        return redraws(self.task)

    def drawn(self, seed: int) -> "LoadedTask":
        """The task with the training samples of that seed.

        Raises:
            TaskError: they are too few, or cannot be read.
        """
        if not self.redraws:
            return self
        train = training_samples(self.task, seed)
        return replace(self, train=train, weights=sample_weights(self.task, train, seed))

    def collate(self, data: Any, samples: list[Any]) -> Any:
        """The batch of these samples of a data set: collated as its own `DataLoader` does, else by the task."""
        while isinstance(data, Subset) and not isinstance(data, LoaderSamples):
            data = data.dataset
        own = data.collate_fn if isinstance(data, (LoaderSamples, Stream)) else None
        return (own or self.task.collate)(samples)

    def new_student(self, seed: int) -> nn.Module:
        """A student built under the seed, on the device, in training mode.

        Raises:
            TaskError: `student()` does not return a module, or calls `sys.exit`.
        """
        seed_everything(seed)
        with no_exit("`student()`"):
            student = self.task.student()
        if not isinstance(student, nn.Module):
            raise TaskError(f"`student()` must return a torch module, but got {type(student).__name__}")
        return student.to(self.device).train()

    def sample_name(self, data: Any, i: int) -> str:
        """What the user calls sample `i` of one of the data sets: `valid_data[17]`."""
        names = [name for name in ("train", "valid", "test") if getattr(self, name) is data]
        names = ["valid"] if isinstance(data, EverySecond) else names
        while isinstance(data, (EverySecond, LoaderSamples)):
            i, data = data.indices[i], data.dataset
        return f"`{names[0]}_data[{i}]`" if names else f"sample {i}"


class EverySecond(Subset[Any]):
    """Half of `valid_data`, where the task has no `test_data`: one half steers the search, the other the verdict."""
