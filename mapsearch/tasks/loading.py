"""From a study file's `task: file.py:Class` to a `LoadedTask`: the task with its teacher and data in place."""

import hashlib
import importlib
import inspect
import random
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.data import Subset

from mapsearch.core.errors import MapsearchError, TaskError, did_you_mean
from mapsearch.core.events import Message
from mapsearch.core.runs import Split
from mapsearch.core.spec import StudySpec
from mapsearch.tasks.isolation import import_file
from mapsearch.tasks.task import Task

_PACKAGE = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class LoadedTask:
    """A task made ready in this process: the teacher frozen on the device, the data split."""

    task: Task
    teacher: nn.Module
    train: Any
    valid: Any
    test: Any
    device: torch.device
    messages: tuple[Message, ...] = ()

    def split(self, name: Split) -> Any:
        """The samples the search (`valid`) or the verdict (`test`) measures on."""
        return self.test if name == "test" else self.valid

    def new_student(self, seed: int) -> nn.Module:
        """A student built under the seed, on the device, in training mode.

        Raises:
            TaskError: `student()` does not return a module, or calls `sys.exit`.
        """
        seed_everything(seed)
        with no_exit("`student()`"):
            student = self.task.student()
        if not isinstance(student, nn.Module):
            raise TaskError(f"`student()` must return a torch module, but got {type(student).__name__}")
        return student.to(self.device).train()

    def sample_name(self, data: Any, i: int) -> str:
        """What the user calls sample `i` of one of the data sets: `valid_data[17]`."""
        if isinstance(data, EverySecond):
            return f"`valid_data[{data.indices[i]}]`"
        names = [name for name in ("train", "valid", "test") if getattr(self, name) is data]
        return f"`{names[0]}_data[{i}]`" if names else f"sample {i}"


class EverySecond(Subset[Any]):
    """Half of `valid_data`, where the task has no `test_data`: one half steers the search, the other the verdict."""


def open_task(task: Task, device: str) -> LoadedTask:
    """Call the task's teacher and data, and check their form.

    Raises:
        TaskError: a dataset is empty or has no length, or the teacher is not a module.
    """
    seed_everything(0)
    with user_code("`teacher()`"):
        teacher = task.teacher()
    if not isinstance(teacher, nn.Module):
        raise TaskError(f"`teacher()` must return a torch module, but got {type(teacher).__name__}")
    with user_code("the task's data"):
        train, valid, test = task.train_data(), task.valid_data(), task.test_data()
    _check_data("train_data", train, 8)
    _check_data("valid_data", valid, 8)
    messages: tuple[Message, ...] = ()
    if test is None:
        n = len(valid)
        valid, test = EverySecond(valid, range(0, n, 2)), EverySecond(valid, range(1, n, 2))
        text = f"no test_data: every second of the {n} validation samples is set aside for the verdict"
        messages = (Message("load", text),)
    where = choose_device(device)
    teacher = teacher.to(where).eval()
    for parameter in teacher.parameters():  # one by one: TorchScript refuses `requires_grad_` of the whole
        parameter.requires_grad_(False)
    _check_data("test_data", test, 4)
    return LoadedTask(task, teacher, train, valid, test, where, messages)


def load_task(spec: StudySpec, cache_dir: Path) -> LoadedTask:
    """The study's task made ready in this process, with the threads the study asks for.

    Raises:
        TaskError: the task cannot be loaded or used.
    """
    torch.set_num_threads(spec.execution.threads)
    return open_task(import_task(spec.task, spec.folder, spec.options, cache_dir), spec.execution.first_device)


def cache_folder(storage: str, study: str) -> Path:
    """Where a study's task may keep what is dear to make: beside a SQLite database, else in the working folder."""
    path = storage.removeprefix("sqlite:///")
    beside = Path.cwd() if path == storage else Path(path).resolve().parent
    return beside / "mapsearch-cache" / study


def task_digest(spec: StudySpec) -> str:
    """SHA-256 of the task's file, to notice that it changed; empty for a task of an installed package."""
    path = spec.folder / spec.task.rpartition(":")[0]
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""


def import_task(reference: str, folder: Path, options: dict[str, Any], cache_dir: Path) -> Task:
    """The user's task, built with its options.

    Args:
        reference: `file.py:Class` relative to `folder`, or `package.module:Class`.

    Raises:
        TaskError: the file or class is not there, is no `Task`, cannot be imported or takes other options.
    """
    place, _, name = reference.rpartition(":")
    module = _import_file(folder / place) if place.endswith(".py") else _import_module(place)
    cls = getattr(module, name, None)
    if cls is None:
        classes = [key for key, value in vars(module).items() if isinstance(value, type)]
        raise TaskError(f"`task: {reference}`: {place} has no class `{name}`{did_you_mean(name, classes)}")
    if not (isinstance(cls, type) and issubclass(cls, Task)):
        raise TaskError(f"`task: {reference}`: `{name}` must be a subclass of `mapsearch.Task`")
    missing = sorted(getattr(cls, "__abstractmethods__", ()))
    if missing:
        raise TaskError(f"`task: {reference}`: `{name}` must define {', '.join(f'`{m}()`' for m in missing)}")
    try:
        inspect.signature(cls).bind(**options)
    except TypeError as error:
        known = list(inspect.signature(cls).parameters)
        near = "".join(did_you_mean(key, known) for key in options if key not in known)
        raise TaskError(f"`options` of `{name}`: {error}; it takes {inspect.signature(cls)}{near}") from None
    with user_code(f"`{name}(...)` of {place}"):
        cache_dir.mkdir(parents=True, exist_ok=True)
        task = cls.__new__(cls)
        task.cache_dir = cache_dir  # before `__init__`, which may use it
        task.__init__(**options)  # type: ignore[misc]
    return task


@contextmanager
def user_code(what: str) -> Iterator[None]:
    """Turns an exception of the user's code, `sys.exit` included, into a `TaskError` that says where it happened."""
    try:
        yield
    except TaskError:
        raise
    except (Exception, SystemExit) as error:
        raise TaskError(f"{what} failed: {describe(error)}") from error


@contextmanager
def no_exit(what: str) -> Iterator[None]:
    """Turns `sys.exit` in the user's code into a `TaskError`: it would end the process without a word."""
    try:
        yield
    except SystemExit as error:
        raise TaskError(f"{what} failed: {describe(error)}") from error


def describe(error: BaseException) -> str:
    """One line: the error's type and text, and the innermost line of code it came from, if possible the user's."""
    if isinstance(error, MapsearchError):
        return "; ".join(error.problems)
    if isinstance(error, SyntaxError):
        return f"SyntaxError: {error.msg} ({Path(error.filename or '').name}:{error.lineno})"
    text = f"{type(error).__name__}: {' '.join(str(error).split())}"
    if isinstance(error, SystemExit):
        text = f"`sys.exit({'' if error.code is None else repr(error.code)})` was called"
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if not _is_library(frame.filename)] or frames
    where = f" ({Path(own[-1].filename).name}:{own[-1].lineno})" if own else ""
    return f"{text}{where}"


def _is_library(filename: str) -> bool:
    path = Path(filename)
    return filename.startswith("<") or "site-packages" in path.parts or path.is_relative_to(_PACKAGE)


def choose_device(name: str) -> torch.device:
    """The device of that name; `auto` prefers a GPU.

    Raises:
        TaskError: the name is unknown, or no such device is here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise TaskError(f"`execution.devices`: `{name}` is not a device; use auto, cpu, cuda or cuda:N") from None
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise TaskError(
            f"`execution.devices`: `{name}` is not available: this machine has {torch.cuda.device_count()} GPUs"
        )
    return device


def seed_everything(seed: int) -> None:
    """Seed torch, NumPy and Python: user code may draw from any of them.

    Not by `torch.manual_seed`: without a GPU it records a stack trace at every call, a tenth of a small step.
    """
    torch.default_generator.manual_seed(seed)
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.manual_seed_all(seed)
    np.random.seed(seed % 2**32)
    random.seed(seed)


def _import_file(path: Path) -> ModuleType:
    if not path.is_file():
        near = did_you_mean(path.name, [p.name for p in path.parent.glob("*.py")])
        raise TaskError(f"the task file `{path}` does not exist{near}")
    with user_code(f"importing the task file `{path}`"):
        return import_file(path)


def _import_module(name: str) -> ModuleType:
    with user_code(f"importing the task module `{name}`"):
        return importlib.import_module(name)


def _check_data(name: str, data: Any, least: int) -> None:
    if not (hasattr(data, "__len__") and (hasattr(data, "__getitem__") or hasattr(data, "__getitems__"))):
        way_out = "; return its `dataset`" if hasattr(data, "dataset") else ""
        type_name = f"{type(data).__name__}{way_out}"
        raise TaskError(f"`{name}()` must return a map-style dataset (len and indexing), but got {type_name}")
    with user_code(f"the length of `{name}()`"):
        n = len(data)
    if n < least:
        raise TaskError(f"`{name}()` must hold at least {least} samples, but got {n}")
