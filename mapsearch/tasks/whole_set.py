"""Metrics of the whole set, which are no means over samples: the task's metric objects, and its `score`."""

from collections.abc import Mapping
from math import nan
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from mapsearch.core.errors import TaskError
from mapsearch.tasks.default_losses import UNLABELLED
from mapsearch.tasks.loaded_task import LoadedTask
from mapsearch.tasks.memory import is_out_of_memory
from mapsearch.tasks.seen import Seen
from mapsearch.tasks.task import Metric, Task
from mapsearch.tasks.user_code import describe


class ObjectMetrics:
    """What the objects of `Task.metric_objects` compute, moved to the study's device where they can be.

    Raises:
        TaskError: they are not objects with `update` and `compute` by name.
    """

    def __init__(self, loaded: LoadedTask) -> None:
        objects = loaded.task.metric_objects()
        if not isinstance(objects, Mapping) or not all(_is_metric(metric) for metric in objects.values()):
            problem = "must return a dict of name to an object with `update(outputs, labels)` and `compute()`"
            raise TaskError(f"`metric_objects()` {problem}, but got {objects!r:.80}")
        self.objects: dict[str, Metric] = {
            str(name): metric.to(loaded.device) if hasattr(metric, "to") else metric for name, metric in objects.items()
        }

    def update(self, seen: Seen) -> None:
        """Show every object the batch.

        Raises:
            TaskError: one cannot take it; the message names it.
        """
        for name, metric in self.objects.items():
            outputs, labels = seen.aligned
            try:
                metric.update(outputs, labels)
            except Exception as error:
                if is_out_of_memory(error):
                    raise
                shapes = " and ".join(f"{list(x.shape)}" for x in (outputs, labels) if isinstance(x, Tensor))
                failed = f"`metric_objects()[{name!r}].update(outputs, labels)` failed for {shapes}"
                raise TaskError(f"{failed}: {describe(error)}") from error

    def compute(self) -> dict[str, float]:
        """The metrics by name.

        Raises:
            TaskError: an object computes something else than numbers, or two give the same name.
        """
        computed = [
            numbers(f"`metric_objects()[{name!r}].compute()`", name, x.compute()) for name, x in self.objects.items()
        ]
        return merged("metric_objects()", *computed)


def _is_metric(metric: Any) -> bool:
    return not isinstance(metric, type) and callable(getattr(metric, "update", None)) and hasattr(metric, "compute")


def is_overridden(task: Task, method: str) -> bool:
    """Whether the task brings a method of its own."""
    return getattr(getattr(task, method), "__func__", None) is not getattr(Task, method)


class Score:
    """What `Task.score` gives for all outputs and labels; nothing is collected where the task does not define it."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._is_defined = is_overridden(task, "score")
        self._outputs: list[Any] = []
        self._labels: list[Any] = []

    def update(self, seen: Seen) -> None:
        """Collect the batch."""
        if self._is_defined:
            outputs, labels = seen.aligned
            self._outputs.append(_on_cpu(outputs))
            self._labels.append(_on_cpu(labels))

    def compute(self) -> dict[str, float]:
        """The metrics by name.

        Raises:
            TaskError: `score` gives something else than a dict of numbers.
        """
        if not self._is_defined:
            return {}
        computed = self._task.score(joined(self._outputs), joined(self._labels))
        if not isinstance(computed, Mapping):
            raise TaskError(f"`score(outputs, labels)` must return a dict of name to number, but got {computed!r:.80}")
        return numbers("`score(outputs, labels)`", "", computed)


def _on_cpu(value: Any) -> Any:
    return value.detach().cpu() if isinstance(value, Tensor) else value


def joined(parts: list[Any]) -> Any:
    """The batches as one tensor `[N, ...]`, padded at the end of every axis to the longest: with NaN, or -100.

    A list of the batches where they are no tensors; None where there are none.
    """
    if all(part is None for part in parts):
        return None
    if not all(isinstance(part, Tensor) and part.ndim == parts[0].ndim for part in parts):
        return parts
    longest = [max(sizes) for sizes in zip(*(part.shape[1:] for part in parts), strict=True)]
    return torch.cat([_padded(part, longest) for part in parts])


def _padded(tensor: Tensor, sizes: list[int]) -> Tensor:
    missing = [size - have for size, have in zip(sizes, tensor.shape[1:], strict=True)]
    if not any(missing):
        return tensor
    ends = [n for size in reversed(missing) for n in (0, size)]  # `pad` begins with the last axis
    return F.pad(tensor, ends, value=nan if tensor.is_floating_point() else UNLABELLED)


def numbers(where: str, name: str, value: Any) -> dict[str, float]:
    """What was computed, as plain numbers: one under the name, several under `name_0`, `name_1`, a dict's by its keys.

    Raises:
        TaskError: it is anything else.
    """
    if isinstance(value, Mapping):
        return merged(where, *(numbers(where, str(key), inner) for key, inner in value.items()))
    try:
        values = torch.as_tensor(value, dtype=torch.float64)
    except (TypeError, ValueError, RuntimeError):
        values = torch.empty(0)
    if values.ndim > 1 or not values.numel():
        what = f"a tensor {list(value.shape)}" if isinstance(value, Tensor) else f"{value!r:.80}"
        raise TaskError(f"{where} must give a number, one per class, or a dict of such, but got {what} for `{name}`")
    if values.numel() == 1:
        return {name: float(values)}
    return {f"{name}_{i}": number for i, number in enumerate(values.tolist())}


def merged(where: str, *parts: Mapping[str, float]) -> dict[str, float]:
    """The metrics of several sources.

    Raises:
        TaskError: two measure something under one name.
    """
    names = [name for part in parts for name in part]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise TaskError(f"{where}: the metric `{twice[0]}` is measured twice; give each a name of its own")
    return {name: value for part in parts for name, value in part.items()}
