"""Which tensor of a network's output the student is to match, in the form that losses take."""

from typing import Any

from torch import Tensor

from mapsearch.core.errors import TaskError
from mapsearch.tasks.alignment import in_last_axis
from mapsearch.tasks.task import Task


def matched_outputs(task: Task, output: Any) -> Tensor | None:
    """What is to be matched in a network's output, `[B, ..., C]`; None where the task matches features alone.

    Classes are on the last axis; values are standardised by the teacher's mean and standard deviation.

    Raises:
        TaskError: it is no tensor of floats, or of another shape than its kind of output has.
    """
    form = task.output_form
    if form.kind == "none":
        return None
    outputs = in_last_axis(form, float_outputs(task, output))
    if outputs.ndim < 2 or (form.kind == "classes" and outputs.shape[-1] < 2):
        least = " with C >= 2" if form.kind == "classes" else ""
        raise TaskError(
            f"`outputs(output)` of {form.kind} must be `[B, ..., C]`{least}, but got {list(outputs.shape)}; "
            "state what they are by `outputs:` in the study file (labels, values, embedding or none)"
        )
    if form.sd:
        outputs = (outputs - outputs.new_tensor(form.mean)) / outputs.new_tensor(form.sd)
    return outputs


def float_outputs(task: Task, output: Any) -> Tensor:
    """What `Task.outputs` returns.

    Raises:
        TaskError: it is no tensor of floats.
    """
    outputs = task.outputs(output)
    if not isinstance(outputs, Tensor):
        way_out = "to match features alone, set `outputs: none` in the study file"
        raise TaskError(f"`outputs(output)` must return a tensor, but got {type(outputs).__name__}; {way_out}")
    if not outputs.is_floating_point():
        shape = f"{outputs.dtype} {list(outputs.shape)}"
        raise TaskError(f"`outputs(output)` must return the scores before any argmax, as floats, but got {shape}")
    return outputs
