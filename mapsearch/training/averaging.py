"""An exponential moving average of a student's weights."""

from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from mapsearch.tasks.user_code import user_code


def open_average(student: nn.Module) -> AveragedModel:
    """A copy of the student for the average of its weights and buffers; before anything is hooked to it.

    Raises:
        TaskError: the student cannot be copied.
    """
    with user_code("`train.ema` needs a copy of the student, which"):
        average = AveragedModel(student, use_buffers=True)
    return average.requires_grad_(False)


def update_average(average: AveragedModel, student: nn.Module, decay: float, step: int) -> None:
    """Take the weights after a step into the average.

    The decay is at most `(1 + step) / (10 + step)`, or short runs would be averages of their first weights.
    """
    warmed = min(decay, (1 + step) / (10 + step))
    average.multi_avg_fn = get_ema_multi_avg_fn(warmed)  # type: ignore[no-untyped-call]
    average.update_parameters(student)
