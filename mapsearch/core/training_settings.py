"""How a trial was trained, beside its recipe."""

import os
from pathlib import Path
from typing import Any, Literal

from pydantic import Field
from pydantic.json_schema import SkipJsonSchema

from mapsearch.core.section import Section
from mapsearch.core.spec import StudySpec
from mapsearch.core.task_reference import TaskReference
from mapsearch.core.train_spec import TrainSpec


class TrainingSettings(Section):
    """The keys of a study file that another training of one of its recipes needs; they stand in every recipe file.

    `folder`, from which `task` is named, is no key of the file.
    """

    task: str = Field(description="file.py:Class relative to this file, or package.module:Class")
    options: dict[str, Any] = Field(default_factory=dict, description="keyword arguments of the task")
    metric: str = Field(description="the metric that the study compared")
    direction: Literal["maximize", "minimize"] = Field(description="whether more or less of the metric is better")
    margin: float | None = Field(None, gt=0, description="the difference of the metric that did not matter")
    train: TrainSpec = TrainSpec()  # type: ignore[call-arg]  # every field has a default
    folder: SkipJsonSchema[Path] = Field(default=Path(), exclude=True)

    def task_reference(self, cache_dir: Path) -> TaskReference:
        """The task, with the folder where it may keep what is dear to make."""
        return TaskReference(self.task, self.folder, self.options, cache_dir)

    def seen_from(self, folder: Path) -> "TrainingSettings":
        """The same settings, the task's file named relative to another folder."""
        file, _, name = self.task.rpartition(":")
        task, folder = self.task, folder.resolve()
        if file.endswith(".py"):
            task = f"{Path(os.path.relpath(self.folder.resolve() / file, folder)).as_posix()}:{name}"
        return self.model_copy(update={"task": task, "folder": folder})

    def to_json(self) -> dict[str, Any]:
        """Every key with its value, defaults written out."""
        return self.model_dump(mode="json")


def training_settings(spec: StudySpec, margin: float | None) -> TrainingSettings:
    """Those of a study.

    Args:
        margin: the one that its verdict was given with.
    """
    return TrainingSettings(
        task=spec.task, options=spec.options, metric=spec.metric, direction=spec.direction, margin=margin,
        train=spec.train, folder=spec.folder,
    )  # fmt: skip
