"""Networks and data -> metrics: every network of a study is measured alike, the teacher too."""

from collections.abc import Sequence
from math import nan
from typing import Any

import torch
from torch import nn

from mapsearch.core.train_spec import TrainSpec
from mapsearch.tasks.batches import measured_batches
from mapsearch.tasks.default_metrics import open_default_metrics
from mapsearch.tasks.loaded_task import LoadedTask
from mapsearch.tasks.memory import free_unused_memory, is_out_of_memory
from mapsearch.tasks.metrics import SampleMetrics, has_nan, sees_teacher
from mapsearch.tasks.nested import in_float32
from mapsearch.tasks.precision import forward_in
from mapsearch.tasks.seen import Seen
from mapsearch.tasks.teacher_answers import TeacherAnswers
from mapsearch.tasks.user_code import no_exit
from mapsearch.tasks.whole_set import ObjectMetrics, Score, is_overridden, merged

EVALUATION_TO_TRAINING = 4
"""Samples per batch of evaluation to those of training, where the study does not say: no gradients take memory."""


def evaluate(loaded: LoadedTask, models: Sequence[nn.Module], data: Any, train: TrainSpec) -> list[dict[str, float]]:
    """`Evaluator.measure` for once."""
    return Evaluator(loaded, train).measure(models, data)


def evaluation_batch_size(train: TrainSpec) -> int:
    """Samples per batch in which networks are measured, where memory suffices."""
    return train.eval_batch_size or EVALUATION_TO_TRAINING * train.batch_size


class Evaluator:
    """Measures networks of one task, and keeps what it learns on the way: the teacher's answers, what fits into memory.

    Attributes:
        batch_size: samples per batch of every network; halved when memory does not suffice. No metric depends on it.
    """

    def __init__(self, loaded: LoadedTask, train: TrainSpec) -> None:
        self.batch_size = evaluation_batch_size(train)
        self._loaded, self._train = loaded, train
        self._teacher = TeacherAnswers(loaded, train)

    def measure(self, models: Sequence[nn.Module], data: Any) -> list[dict[str, float]]:
        """The metrics of each model over all of the data, in eval mode; the mode is restored.

        Forward passes have the precision of training; metrics see float32. A network whose output is NaN for a
        sample that counts has NaN for every metric: leaving such samples out would flatter it.

        Raises:
            TaskError: the task's metrics do not have the right form.
        """
        modes = [model.training for model in models]
        for model in models:
            model.eval()
        try:
            return self._measure_in_batches_that_fit(models, data)
        finally:
            for model, mode in zip(models, modes, strict=True):
                model.train(mode)

    def _measure_in_batches_that_fit(self, models: Sequence[nn.Module], data: Any) -> list[dict[str, float]]:
        while True:
            try:
                return self._measure(models, data)
            except Exception as error:
                if not is_out_of_memory(error) or self.batch_size == 1:
                    raise
            self.batch_size = min(self.batch_size, len(data)) // 2 or 1
            free_unused_memory()

    @torch.no_grad()
    def _measure(self, models: Sequence[nn.Module], data: Any) -> list[dict[str, float]]:
        loaded, forward = self._loaded, forward_in(self._train.precision, self._loaded)
        measured = [Measurement(loaded) for _ in models]
        batches = measured_batches(loaded, data, self.batch_size)
        with_output = sees_teacher(loaded.task)
        taught = self._teacher.with_answers(data, self.batch_size, batches, with_output=with_output)
        for batch, output, answer in taught:
            for model, measurement in zip(models, measured, strict=True):
                measurement.add(Seen(loaded, in_float32(forward(model, batch)), batch, output, answer))
        return [measurement.metrics() for measurement in measured]


class Measurement:
    """The metrics of one network so far: the task's own, and those that every task has."""

    def __init__(self, loaded: LoadedTask) -> None:
        task = loaded.task
        with no_exit("`metric_objects`"):
            whole_set = (ObjectMetrics(loaded), Score(task))
        has_own = is_overridden(task, "metrics")
        self._task, self._has_nan = task, False
        self._own = (SampleMetrics(task), *whole_set) if has_own else whole_set
        self._defaults = open_default_metrics(loaded, has_own=has_own)

    def add(self, seen: Seen) -> None:
        """Add what was seen of a batch."""
        with no_exit("`metrics`"):
            for part in (*self._defaults, *self._own):
                part.update(seen)
        self._has_nan = self._has_nan or has_nan(self._task, seen.output, seen.batch)

    def metrics(self) -> dict[str, float]:
        """All metrics by name; one of the task's own stands in for a default one of that name.

        Raises:
            TaskError: the task's metrics do not have the right form.
        """
        with no_exit("`metrics`"):
            own = merged("`metrics`, `metric_objects` and `score`", *(part.compute() for part in self._own))
        defaults = merged("defaults", *(part.compute() for part in self._defaults))
        computed = defaults | own
        return dict.fromkeys(computed, nan) if self._has_nan else computed
