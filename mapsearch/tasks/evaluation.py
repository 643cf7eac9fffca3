"""Networks and data -> metrics: every network of a study is measured alike, the teacher too."""

from collections.abc import Sequence
from math import nan
from typing import Any

import torch
from torch import nn

from mapsearch.core.errors import TaskError
from mapsearch.core.train_spec import TrainSpec
from mapsearch.tasks.batches import ordered_batches
from mapsearch.tasks.loaded_task import LoadedTask
from mapsearch.tasks.metrics import MeanMetrics, has_nan
from mapsearch.tasks.nested import in_float32
from mapsearch.tasks.precision import forward_in
from mapsearch.tasks.task import MetricAccumulator
from mapsearch.tasks.user_code import no_exit


@torch.no_grad()
def evaluate(
    loaded: LoadedTask, models: Sequence[nn.Module], data: Any, train: TrainSpec, n_parts: int = 1
) -> list[dict[str, float]]:
    """The metrics of each model over all of the data, in eval mode; the mode is restored.

    Batches have the size and forward passes the precision of training; metrics see float32. A network whose
    output is NaN for a sample that counts has NaN for every metric: leaving such samples out would flatter it.

    Args:
        n_parts: the parts in which each training batch had to be worked on for lack of memory.

    Raises:
        TaskError: the task's metrics do not have the right form.
    """
    size = max(1, train.batch_size // n_parts)
    modes = [model.training for model in models]
    measured = [_Measurement(loaded, train) for _ in models]
    for model in models:
        model.eval()
    try:
        for batch in ordered_batches(loaded, data, size):
            for model, measurement in zip(models, measured, strict=True):
                measurement.add(model, batch)
    finally:
        for model, mode in zip(models, modes, strict=True):
            model.train(mode)
    return [measurement.metrics() for measurement in measured]


class _Measurement:
    """The metrics of one network so far."""

    def __init__(self, loaded: LoadedTask, train: TrainSpec) -> None:
        self._task, self._forward, self._has_nan = loaded.task, forward_in(train.precision, loaded), False
        self._accumulator: MetricAccumulator = open_accumulator(loaded)

    def add(self, model: nn.Module, batch: Any) -> None:
        output = in_float32(self._forward(model, batch))
        with no_exit("`metrics`"):
            self._accumulator.update(output, batch)
        self._has_nan = self._has_nan or has_nan(self._task, output, batch)

    def metrics(self) -> dict[str, float]:
        computed = self._accumulator.compute()
        return dict.fromkeys(computed, nan) if self._has_nan else checked(computed)


def open_accumulator(loaded: LoadedTask) -> MetricAccumulator:
    """The task's own accumulator, else one of means."""
    return loaded.task.accumulator() or MeanMetrics(loaded.task)


def checked(computed: Any) -> dict[str, float]:
    """What an accumulator computed, as plain numbers.

    Raises:
        TaskError: it is not a dict of names to numbers.
    """
    if not isinstance(computed, dict) or not computed:
        raise TaskError(f"`accumulator().compute()` must return a dict of name to number, but got {computed!r:.80}")
    try:
        return {str(name): float(value) for name, value in computed.items()}
    except (TypeError, ValueError, RuntimeError):
        raise TaskError(f"`accumulator().compute()` must return a dict of numbers, but got {computed!r:.80}") from None
