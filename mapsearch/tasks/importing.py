"""From a study file's `task: file.py:Class` to the user's `Task`."""

import importlib
import inspect
from pathlib import Path
from types import ModuleType

from mapsearch.core.errors import TaskError, did_you_mean
from mapsearch.core.task_reference import TaskReference
from mapsearch.tasks.isolation import import_file
from mapsearch.tasks.task import Task
from mapsearch.tasks.user_code import user_code


def import_task(reference: TaskReference) -> Task:
    """The user's task, built with its options.

    Raises:
        TaskError: the file or class is not there, is no `Task`, cannot be imported or takes other options.
    """
    place, _, name = reference.name.rpartition(":")
    module = _import_file(reference.file) if place.endswith(".py") else _import_module(place)
    cls = getattr(module, name, None)
    if cls is None:
        classes = [key for key, value in vars(module).items() if isinstance(value, type)]
        raise TaskError(f"`task: {reference.name}`: {place} has no class `{name}`{did_you_mean(name, classes)}")
    if not (isinstance(cls, type) and issubclass(cls, Task)):
        raise TaskError(f"`task: {reference.name}`: `{name}` must be a subclass of `mapsearch.Task`")
    missing = sorted(getattr(cls, "__abstractmethods__", ()))
    if missing:
        raise TaskError(f"`task: {reference.name}`: `{name}` must define {', '.join(f'`{m}()`' for m in missing)}")
    try:
        inspect.signature(cls).bind(**reference.options)
    except TypeError as error:
        known = list(inspect.signature(cls).parameters)
        near = "".join(did_you_mean(key, known) for key in reference.options if key not in known)
        raise TaskError(f"`options` of `{name}`: {error}; it takes {inspect.signature(cls)}{near}") from None
    with user_code(f"`{name}(...)` of {place}"):
        reference.cache_dir.mkdir(parents=True, exist_ok=True)
        task = cls.__new__(cls)
        task.cache_dir = reference.cache_dir  # before `__init__`, which may use it
        task.__init__(**reference.options)  # type: ignore[misc]
    return task


def _import_file(path: Path) -> ModuleType:
    if not path.is_file():
        near = did_you_mean(path.name, [p.name for p in path.parent.glob("*.py")])
        raise TaskError(f"the task file `{path}` does not exist{near}")
    with user_code(f"importing the task file `{path}`"):
        return import_file(path)


def _import_module(name: str) -> ModuleType:
    with user_code(f"importing the task module `{name}`"):
        return importlib.import_module(name)
