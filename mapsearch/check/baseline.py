"""What a student that learned nothing would get: the metric of an untrained one, and of a constant guess."""

from math import isfinite, nan
from typing import Any

import torch
from torch import Tensor

from mapsearch.core.runs import Split
from mapsearch.core.spec import StudySpec
from mapsearch.tasks.batches import ordered_batches
from mapsearch.tasks.evaluation import Evaluator, Measurement, evaluation_batch_size
from mapsearch.tasks.loaded_task import LoadedTask
from mapsearch.tasks.memory import is_out_of_memory
from mapsearch.tasks.nested import batch_size, in_float32, with_rows
from mapsearch.tasks.precision import forward_in
from mapsearch.tasks.seen import Seen
from mapsearch.tasks.teacher_answers import comparable, decided


def measure_baseline(loaded: LoadedTask, spec: StudySpec) -> dict[Split, float]:
    """The better of both on the validation and on the test data; a split where neither can be measured is left out."""
    better = max if spec.direction == "maximize" else min
    student, evaluator = loaded.new_student(spec.seed), Evaluator(loaded, spec.train)
    found: dict[Split, float] = {}
    for split in ("valid", "test"):
        data = loaded.split(split)
        (untrained,) = evaluator.measure([student], data)
        values = [untrained.get(spec.metric, nan), _constant_guess(loaded, spec, data)]
        if finite := [value for value in values if isfinite(value)]:
            found[split] = better(finite)
    return found


def constant_rows(rows: Tensor) -> Tensor:
    """The mean of the rows `[N, ...]` in place of each."""
    return rows.mean(0, keepdim=True).expand_as(rows)


@torch.no_grad()
def _constant_guess(loaded: LoadedTask, spec: StudySpec, data: Any) -> float:
    """The study's metric of the mean of the teacher's outputs, over batches of shuffled samples.

    NaN where the task's metrics refuse outputs that no network gave.
    """
    forward, measurement = forward_in(spec.train.precision, loaded), Measurement(loaded)
    try:
        for batch in ordered_batches(loaded, data, evaluation_batch_size(spec.train), seed=spec.seed):
            output = in_float32(forward(loaded.teacher, batch))
            outputs = comparable(loaded, output)
            answer = None if outputs is None else decided(loaded, outputs)
            measurement.add(Seen(loaded, with_rows(output, batch_size(batch), constant_rows), batch, output, answer))
        return measurement.metrics().get(spec.metric, nan)
    except Exception as error:
        if is_out_of_memory(error):
            raise
        return nan
