"""What a task's outputs are to each other, and which tensor of them the student is to match.

This is the only place that knows. Today outputs are class scores: the student matches the teacher's softmax over
the last axis by one of the logit losses. Another kind of output is another rule here, with losses of its own.
"""

from typing import Any

from torch import Tensor

from mapsearch.core.errors import TaskError
from mapsearch.tasks.task import Task

CLASSES_ONLY = "outputs are matched as class scores, by a softmax over the last axis"


def matched_outputs(task: Task, output: Any) -> Tensor:
    """The class scores `[..., C]` in a network's output.

    Raises:
        TaskError: there are none: no tensor, whole numbers, or fewer than two classes on the last axis.
    """
    scores = task.logits(output)
    if not isinstance(scores, Tensor):
        raise TaskError(f"`logits(output)` must return a tensor, but got {type(scores).__name__}: {CLASSES_ONLY}")
    if not scores.is_floating_point():
        shape = f"{scores.dtype} {list(scores.shape)}"
        raise TaskError(f"`logits(output)` must return the scores before any argmax, as floats, but got {shape}")
    if scores.ndim < 2 or scores.shape[-1] < 2:
        way_out = "a yes-or-no output becomes two classes by `torch.stack([torch.zeros_like(x), x], -1)`"
        shape = f"got {list(scores.shape)}"
        raise TaskError(
            f"`logits(output)` must return `[..., C]` with C >= 2, but {shape}: {CLASSES_ONLY}; {way_out}; "
            "outputs that are real numbers or embeddings cannot be matched yet"
        )
    return scores
