"""The study file as frozen data: every key, its default and its range are written once, in the file of its section."""

import json
import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator
from pydantic.json_schema import SkipJsonSchema

from mapsearch.core.budget import PRESETS, Preset, effort
from mapsearch.core.execution import Execution
from mapsearch.core.layers_spec import LayersSpec
from mapsearch.core.metric_direction import KNOWN, must_be_stated
from mapsearch.core.search_spec import ConfirmSpec, SearchSpec
from mapsearch.core.section import Section, one_of
from mapsearch.core.similarity_spec import SimilaritySpec
from mapsearch.core.space_spec import SpaceSpec
from mapsearch.core.studies import LONGEST_NAME, STUDY_NAME
from mapsearch.core.task_reference import TaskReference
from mapsearch.core.text import shortened
from mapsearch.core.train_spec import TrainSpec

UNSTATED = "unstated"
"""The direction of a study that does not state it, though the name of its metric rules a default out."""


class StudySpec(Section):
    """One study file: what is compared, and in `execution` where it runs.

    `folder`, where the file lies, and `notices`, what its author should know, are not keys of the file.
    """

    name: str = Field(pattern=STUDY_NAME, max_length=LONGEST_NAME, description="name of the study in its database")
    task: str = Field(description="task.py:Class relative to this file, or package.module:Class")
    options: dict[str, Any] = Field(default_factory=dict, description="keyword arguments of the task")
    metric: str = Field(
        "accuracy",
        description="a metric of the task; unstated, it follows the outputs: accuracy for classes, f1_micro for "
        "labels, rmse (minimized) for values, cosine to the teacher for embeddings",
    )
    direction: Literal["maximize", "minimize"] = Field(
        "maximize",
        validate_default=True,
        description="whether more or less of the metric is better",
    )
    outputs: Literal["auto", "classes", "labels", "values", "embedding", "none"] = Field(
        "auto",
        description="what the networks output: classes that exclude each other, labels (yes or no each), values (real "
        "numbers), an embedding, or none (features alone); auto: read from labels, loss and teacher",
    )
    margin: float | None = Field(
        None,
        gt=0,
        description="differences of the metric up to this do not matter to you; unset: 5 % of the distance from "
        "training without features to the teacher",
    )
    budget: Annotated[
        Annotated[int, Field(ge=1, strict=True)] | Preset, one_of("quick, standard, thorough or a whole number above 0")
    ] = Field(
        "standard",
        description="full-run equivalents that the study may take: quick is 25, standard 60, thorough 150; it decides "
        "search.trials and other keys of search and confirm where they are unset, and how many fresh seeds are run",
    )
    seed: int = Field(0, ge=0, lt=2**31, description="the seed from which all seeds of the study are derived")
    train: TrainSpec = TrainSpec()  # type: ignore[call-arg]  # every field has a default
    layers: LayersSpec = LayersSpec()  # type: ignore[call-arg]
    similarity: SimilaritySpec = SimilaritySpec()  # type: ignore[call-arg]
    space: SpaceSpec = SpaceSpec()  # type: ignore[call-arg]
    search: SearchSpec = SearchSpec()  # type: ignore[call-arg]
    confirm: ConfirmSpec = ConfirmSpec()  # type: ignore[call-arg]
    execution: Execution = Execution()  # type: ignore[call-arg]
    folder: SkipJsonSchema[Path] = Field(default=Path(), exclude=True)
    notices: SkipJsonSchema[tuple[str, ...]] = Field(default=(), exclude=True)

    @model_validator(mode="before")
    @classmethod
    def _makes_the_effort_of_its_budget(cls, data: Any) -> Any:
        budget: Any = data.get("budget", "standard") if isinstance(data, dict) else None
        if not _is_budget(budget):
            return data  # a problem of its own
        decided = {
            section: {**keys, **given}
            for section, keys in effort(budget).items()
            if isinstance(given := data.get(section, {}), dict)
        }
        return {**data, **decided}

    @field_validator("task")
    @classmethod
    def _names_a_class(cls, value: str) -> str:
        if not re.fullmatch(r"[^:]+:[A-Za-z_]\w*", value):
            raise ValueError(f"must be `file.py:Class` or `package.module:Class`, but got {shortened(value)}")
        return value

    @field_validator("options")
    @classmethod
    def _can_be_stored(cls, value: dict[str, Any]) -> dict[str, Any]:
        try:
            json.dumps(value, allow_nan=False)
        except (TypeError, ValueError):
            problem = f"must be plain data with finite numbers, but got {shortened(value)}"
            raise ValueError(problem) from None
        return value

    @model_validator(mode="before")
    @classmethod
    def _has_no_default_direction(cls, data: Any) -> Any:
        metric = data.get("metric") if isinstance(data, dict) else None
        if isinstance(metric, str) and "direction" not in data and (metric in KNOWN or must_be_stated(metric)):
            return {**data, "direction": KNOWN.get(metric, UNSTATED)}
        return data

    @field_validator("direction", mode="before")
    @classmethod
    def _is_stated(cls, value: Any, info: ValidationInfo) -> Any:
        if value == UNSTATED:
            metric = info.data["metric"]
            raise ValueError(f"must be stated for the metric `{metric}`: minimize if less is better, else maximize")
        return value

    @model_validator(mode="after")
    def _has_a_teacher_after_features(self) -> Self:
        until, highest = self.train.features_until, self.space.feature_share[1]
        if until < 1 and highest == 1:
            raise ValueError(
                f"`train.features_until: {until:g}` needs `space.feature_share` below 1, or nothing would teach after "
                f"it, but got {list(self.space.feature_share)}"
            )
        return self

    def task_reference(self, cache_dir: Path) -> TaskReference:
        """The study's task, with the folder where it may keep what is dear to make."""
        return TaskReference(self.task, self.folder, self.options, cache_dir)

    def n_steps(self, rung: int) -> int:
        """Optimizer steps of a run at that rung (0, 1 or 2), at least two."""
        return max(2, round(self.train.steps * self.search.rungs[rung]))

    def to_json(self) -> dict[str, Any]:
        """Every key with its value, defaults written out."""
        return self.model_dump(mode="json")


def _is_budget(value: Any) -> bool:
    if isinstance(value, str):
        return value in PRESETS
    return isinstance(value, int) and not isinstance(value, bool) and value > 0
