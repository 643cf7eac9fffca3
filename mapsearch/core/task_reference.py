"""Where a task's code is, and what it is built with."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class TaskReference:
    """Everything that a process needs to build the user's task; it can be pickled.

    Attributes:
        name: `file.py:Class` relative to `folder`, or `package.module:Class`.
        folder: where the study file lies.
        options: keyword arguments of the class.
        cache_dir: the study's own folder, where the task may keep what is dear to make.
    """

    name: str
    folder: Path
    options: Mapping[str, Any]
    cache_dir: Path

    @property
    def file(self) -> Path:
        """The task's file; no file has this name where the task is in an installed package."""
        return self.folder / self.name.rpartition(":")[0]
