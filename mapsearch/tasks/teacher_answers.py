"""What the teacher says about the samples that networks are measured on: kept where small, else asked again."""

from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor

from mapsearch.core.errors import TaskError
from mapsearch.core.train_spec import TrainSpec
from mapsearch.tasks.loaded_task import LoadedTask
from mapsearch.tasks.nested import in_float32
from mapsearch.tasks.outputs import matched_outputs
from mapsearch.tasks.precision import forward_in

MAX_KEPT_BYTES = 64 * 2**20
"""Most that is kept of the teacher's answers on one data set."""

Answers = Iterator[tuple[Any, Any, Tensor | None]]
"""For each batch: the batch, the teacher's output (None if it was not asked for) and its answer."""


def comparable(loaded: LoadedTask, output: Any) -> Tensor | None:
    """The outputs by which two networks are compared; None where the task has none."""
    try:
        return matched_outputs(loaded.task, output)
    except TaskError:  # `check` reports it; metrics of the task's own may not need them
        return None


def decided(loaded: LoadedTask, outputs: Tensor) -> Tensor:
    """What outputs say, as small as it can be kept: the class `[...]`, yes or no for each label, else themselves."""
    kind = loaded.task.output_form.kind
    if kind == "classes":
        return outputs.argmax(-1).to(torch.int32)
    return outputs > 0 if kind == "labels" else outputs.float()


class TeacherAnswers:
    """The teacher's answers on the batches of a data set, computed once per process where they fit."""

    def __init__(self, loaded: LoadedTask, train: TrainSpec) -> None:
        self._loaded, self._forward = loaded, forward_in(train.precision, loaded)
        self._kept: dict[tuple[int, int], list[Tensor | None]] = {}

    def with_answers(self, data: Any, size: int, batches: Iterable[Any], *, with_output: bool) -> Answers:
        """The batches of that size of the data, each with the teacher's answer.

        Args:
            with_output: ask for its whole output too, which is never kept.
        """
        is_lasting = data is self._loaded.valid or data is self._loaded.test
        key = (id(data), size)
        if key in self._kept and not with_output:
            for batch, answer in zip(batches, self._kept[key], strict=True):
                yield batch, None, answer
            return
        answers, n_bytes = [], 0
        for batch in batches:
            output = in_float32(self._forward(self._loaded.teacher, batch))
            outputs = comparable(self._loaded, output)
            answers.append(None if outputs is None else decided(self._loaded, outputs))
            n_bytes += 0 if answers[-1] is None else answers[-1].nbytes
            yield batch, output if with_output else None, answers[-1]
            if n_bytes > MAX_KEPT_BYTES or not is_lasting:
                answers.clear()
        if is_lasting and n_bytes <= MAX_KEPT_BYTES:
            self._kept[key] = answers
