"""The metrics of a network, as a study measures them."""

import torch
from torch import nn

from mapsearch.core.train_spec import TrainSpec
from mapsearch.tasks import evaluation
from mapsearch.tasks.loading import open_task
from mapsearch.tasks.seeding import drawn_apart
from mapsearch.tasks.task import Task


def evaluate(task: Task, model: nn.Module, *, batch_size: int = 64) -> dict[str, float]:
    """The metrics of a network on the data of a verdict: `test_data`, or every second sample of `valid_data`.

    They are those that the study of the task has: the task's own, and those that follow from its `output_form`
    (of a task that no study has opened: classes on the last axis). `agreement` is that with the task's teacher. A
    training loop may call this: what it draws at random is as if it had not.

    Args:
        model: where it is to be measured; its mode is restored.
        batch_size: samples at once; no metric depends on it.

    Raises:
        TaskError: the task's teacher, data or metrics do not have the right form.
    """
    device = next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
    with drawn_apart(device):
        loaded = open_task(task, str(device))
        train = TrainSpec.model_validate({"eval_batch_size": batch_size})
        return evaluation.evaluate(loaded, [model], loaded.test, train)[0]
