"""From a `Task` to a `LoadedTask`: its teacher is frozen on the device, its data are there and have the right form."""

import hashlib

import torch
from torch import nn

from mapsearch.core.errors import TaskError
from mapsearch.core.events import Message
from mapsearch.core.execution import Execution
from mapsearch.core.task_reference import TaskReference
from mapsearch.tasks.configured import configured
from mapsearch.tasks.devices import choose_device
from mapsearch.tasks.importing import import_task
from mapsearch.tasks.loaded_task import EverySecond, LoadedTask
from mapsearch.tasks.samples import check_data, measured_samples, sample_weights, training_samples
from mapsearch.tasks.seeding import seed_everything
from mapsearch.tasks.task import Task
from mapsearch.tasks.user_code import user_code


def open_task(task: Task, device: str, loader_workers: int = 0) -> LoadedTask:
    """Call the task's teacher and data, and check their form.

    Raises:
        TaskError: a dataset holds too few samples or has no usable form, or the teacher is not a module.
    """
    seed_everything(0)
    with user_code("`teacher()`"):
        teacher = task.teacher()
    if not isinstance(teacher, nn.Module):
        raise TaskError(f"`teacher()` must return a torch module, but got {type(teacher).__name__}")
    with user_code("the task's data"):
        train, valid, test = training_samples(task, 0), task.valid_data(), task.test_data()
        weights, valid = sample_weights(task, train, 0), measured_samples("valid_data", valid)
        test = None if test is None else measured_samples("test_data", test)
    check_data("valid_data", valid, 8)
    messages = [Message("load", note) for data in (train, valid, test) for note in getattr(data, "notes", ())]
    if test is None:
        n = len(valid)
        valid, test = EverySecond(valid, range(0, n, 2)), EverySecond(valid, range(1, n, 2))
        text = f"no test_data: every second of the {n} validation samples is set aside for the verdict"
        messages.append(Message("load", text))
    where = choose_device(device)
    teacher = teacher.to(where).eval()
    for parameter in teacher.parameters():  # one by one: TorchScript refuses `requires_grad_` of the whole
        parameter.requires_grad_(False)
    check_data("test_data", test, 4)
    task.output_form = configured(task.output_form, teacher)
    return LoadedTask(task, teacher, train, valid, test, where, tuple(messages), weights, loader_workers)


def load_task(reference: TaskReference, execution: Execution) -> LoadedTask:
    """A study's task made ready in this process, on the first device and with the threads that the study asks for.

    Raises:
        TaskError: the task cannot be loaded or used.
    """
    torch.set_num_threads(execution.threads)
    return open_task(import_task(reference), execution.first_device, execution.loader_workers)


def task_digest(reference: TaskReference) -> str:
    """SHA-256 of the task's file, to notice that it changed; empty for a task of an installed package."""
    return hashlib.sha256(reference.file.read_bytes()).hexdigest() if reference.file.is_file() else ""
