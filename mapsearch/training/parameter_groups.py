"""Which weights a run trains, and at which learning rate."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from mapsearch.core.errors import TaskError, did_you_mean
from mapsearch.core.train_spec import TrainSpec
from mapsearch.tasks.task import Task
from mapsearch.tasks.user_code import user_code
from mapsearch.training.optimizer import open_optimizer

RULE = "`parameter_groups(student, lr)` must"


def parameter_groups(task: Task, student: nn.Module, loss: nn.Module, train: TrainSpec) -> list[dict[str, Any]]:
    """The groups of the optimizer: the student's, as the task wants them, and what the loss learns.

    Raises:
        TaskError: the task's groups are not groups of all trainable parameters of the student.
    """
    with user_code("`parameter_groups(student, lr)`"):
        given = task.parameter_groups(student, train.lr)
    learned = [p for p in loss.parameters() if p.requires_grad]
    groups = [{"params": [*_trainable(student).values()]}] if given is None else _checked(given, student, train)
    projectors = {"params": learned, "lr": train.lr * train.projector_lr}
    return [group for group in (*groups, projectors) if group["params"]]


def _trainable(student: nn.Module) -> dict[str, nn.Parameter]:
    return {name: parameter for name, parameter in student.named_parameters() if parameter.requires_grad}


def _checked(given: Any, student: nn.Module, train: TrainSpec) -> list[dict[str, Any]]:
    if not isinstance(given, Sequence) or not all(isinstance(x, Mapping) and "params" in x for x in given):
        raise TaskError(
            f"{RULE} return a list of dicts with `params`, as torch's optimizers take it, but got {given!r:.80}"
        )
    groups = [_group(group, train) for group in given]
    own = {id(p) for p in student.parameters()}
    held = [id(p) for group in groups for p in group["params"]]
    missing = [name for name, p in _trainable(student).items() if id(p) not in held]
    if missing:
        way_out = "add a group for them, or freeze them by `requires_grad_(False)` in `student()`"
        raise TaskError(
            f"{RULE} hold every trainable parameter, but {len(missing)} are in none (`{missing[0]}` first); {way_out}"
        )
    if len(set(held)) < len(held):
        raise TaskError(f"{RULE} hold every parameter once, but some are in two groups")
    if not own.issuperset(held):
        raise TaskError(f"{RULE} hold the parameters of the student that it is given, but some are another module's")
    return groups


def _group(given: Mapping[str, Any], train: TrainSpec) -> dict[str, Any]:
    """A group of its own with a list of trainable parameters."""
    params = [given["params"]] if isinstance(given["params"], Tensor) else [*given["params"]]
    wrong = next((p for p in params if not isinstance(p, nn.Parameter)), None)
    if wrong is not None:
        raise TaskError(f"{RULE} give `params` as parameters, but got {type(wrong).__name__}")
    known = ("params", *open_optimizer([nn.Parameter()], train).defaults)
    unknown = [
        f"{RULE} use options of `{train.optimizer}`, but got `{x}`{did_you_mean(x, known)}"
        for x in given
        if x not in known
    ]
    if unknown:
        raise TaskError(*unknown)
    return {**given, "params": [p for p in params if p.requires_grad]}
