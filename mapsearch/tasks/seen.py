"""Seen: all that metrics may look at after a network was shown a batch."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from torch import Tensor

from mapsearch.core.errors import TaskError
from mapsearch.tasks.alignment import aligned
from mapsearch.tasks.loaded_task import LoadedTask
from mapsearch.tasks.teacher_answers import comparable, decided


@dataclass(frozen=True)
class Seen:
    """A network's output for a batch, in float32.

    `teacher_output` is the teacher's, where `Task.metrics` asks for it; `teacher` what it says in the form in which
    networks are compared (`teacher_answers.decided`), None where outputs cannot be.
    """

    loaded: LoadedTask
    output: Any
    batch: Any
    teacher_output: Any
    teacher: Tensor | None

    @cached_property
    def rows(self) -> tuple[Any, Any]:
        """Outputs and labels as they are held against each other, with classes or values on the last axis.

        The whole output stands for outputs that are none.
        """
        outputs, labels = self._outputs(), self.loaded.task.labels(self.batch)
        if outputs is None or labels is None:
            return self.output if outputs is None else outputs, labels
        return aligned(self.loaded.task.output_form, outputs, labels, self.loaded.task.mask(self.batch))

    @cached_property
    def aligned(self) -> tuple[Any, Any]:
        """The same for metrics of the user's: with classes or values on the network's own axis.

        One value per sample and one label are both `[B]`.
        """
        (outputs, labels), form = self.rows, self.loaded.task.output_form
        if labels is None or form.kind in ("embedding", "none"):
            return outputs, labels
        if form.kind == "classes":
            return outputs.movedim(-1, form.class_axis), labels
        if outputs.ndim == 2 and outputs.shape[1] == 1 == labels.shape[1]:
            return outputs[:, 0], labels[:, 0]
        return outputs.movedim(-1, form.class_axis), labels.movedim(-1, form.class_axis)

    def _outputs(self) -> Any:
        task = self.loaded.task
        try:
            return task.outputs(self.output)
        except TaskError:
            if task.output_form.kind != "none":
                raise
            return None  # nobody has to say which tensor is matched

    @cached_property
    def answer(self) -> Tensor | None:
        """What the network says, in the form of `teacher`."""
        outputs = comparable(self.loaded, self.output)
        return None if outputs is None else decided(self.loaded, outputs)
