"""The samples of a task: the same ones for all seeds, or drawn anew by each."""

import inspect
from typing import Any

from mapsearch.core.errors import TaskError
from mapsearch.tasks.task import Task
from mapsearch.tasks.user_code import user_code

MIN_TRAINING_SAMPLES = 8


def redraws(task: Task) -> bool:
    """Whether `train_data` takes a seed, and so each seed its own samples."""
    return "seed" in inspect.signature(task.train_data).parameters


def training_samples(task: Task, seed: int) -> Any:
    """The training samples of a seed.

    Raises:
        TaskError: they are too few, or no map-style dataset.
    """
    with user_code("`train_data()`"):
        samples = task.train_data(seed=seed) if redraws(task) else task.train_data()  # type: ignore[call-arg]
    check_data("train_data", samples, MIN_TRAINING_SAMPLES)
    return samples


def check_data(name: str, data: Any, least: int) -> None:
    """Make sure that one of the task's data sets is a map-style one of enough samples.

    Raises:
        TaskError: it is not.
    """
    if not (hasattr(data, "__len__") and (hasattr(data, "__getitem__") or hasattr(data, "__getitems__"))):
        way_out = "; return its `dataset`" if hasattr(data, "dataset") else ""
        type_name = f"{type(data).__name__}{way_out}"
        raise TaskError(f"`{name}()` must return a map-style dataset (len and indexing), but got {type_name}")
    with user_code(f"the length of `{name}()`"):
        n = len(data)
    if n < least:
        raise TaskError(f"`{name}()` must hold at least {least} samples, but got {n}")
