"""The study file as frozen data: every key, its default and its range stand here once."""

import json
import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator
from pydantic.json_schema import SkipJsonSchema

from mapsearch.core.execution import Execution
from mapsearch.core.layers import Kind
from mapsearch.core.metric_direction import direction_problem, must_be_stated
from mapsearch.core.recipe import AggregationName, BalanceName, FeatureLossName, ProjectorName
from mapsearch.core.section import Section, auto_or
from mapsearch.core.similarity import EstimatorName, MeasureName, measure_problem
from mapsearch.core.text import shortened

Range = tuple[float, float]
Fraction = Annotated[float, Field(ge=0, le=1)]
Share = Annotated[float, Field(gt=0, le=1)]


Names = Annotated[
    Literal["auto"] | Annotated[tuple[str, ...], Field(min_length=1)], auto_or("a list of names and globs")
]
Block = Annotated[Literal["auto", "all"] | Annotated[int, Field(ge=4)], auto_or("`all` or a whole number >= 4")]


OptimizerName = Literal["adamw", "sgd"]


class TrainSpec(Section):
    """One full training of a student; shorter rungs compress the same schedule."""

    steps: int = Field(300, ge=5, description="optimizer steps of the full schedule")
    batch_size: int = Field(64, ge=2, description="training samples per step")
    optimizer: OptimizerName = Field("adamw", description="optimizer of student and projectors")
    lr: float = Field(2.0e-3, gt=0, description="peak learning rate of student and projectors")
    weight_decay: float = Field(0.01, ge=0, description="weight decay of the optimizer")
    warmup: float = Field(0.05, ge=0, lt=1, description="fraction of the steps over which the learning rate rises")
    max_grad_norm: float = Field(5.0, gt=0, description="gradients are clipped to this norm")
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto",
        description="precision of both networks' forward passes; auto: bfloat16 on a GPU that has it, else float32",
    )


class LayersSpec(Section):
    """Which layers take part: `auto` (the repeated blocks of the trunk) or a list of names and globs."""

    teacher: Names = Field("auto", description="teacher layers: auto, or a list of names and globs")
    student: Names = Field("auto", description="student layers: auto, or a list of names and globs")
    kinds: dict[str, Kind] = Field(
        default_factory=dict,
        description="for layers whose kind is guessed wrong: name or glob -> vector, tokens or map",
    )


class SimilaritySpec(Section):
    """How the similarity of layers is measured before the search."""

    measure: MeasureName = Field("cka", description="measure of similarity")
    estimator: EstimatorName = Field(
        "debiased", description="biased: as published; debiased: about 0 for unrelated layers"
    )
    samples: Annotated[int, Field(ge=64)] | None = Field(
        2048, description="maximum number of training samples shown to both networks; null: all of them"
    )
    tolerance: float | None = Field(
        0.01, gt=0, description="stop once every value is known to within this (95 % interval); null: use all `samples`"
    )
    block: Block = Field(
        "auto", description="number of samples compared with each other at once; all: every sample with every other"
    )
    maps: Literal["flatten", "grid", "mean"] = Field("flatten", description="how a feature map becomes one row")
    tokens: Literal["mean", "first", "flatten", "samples"] = Field("mean", description="how tokens become rows")
    outliers: Literal["clip", "normalise", "keep"] = Field(
        "clip", description="what is done with tokens of very large norm"
    )

    @model_validator(mode="after")
    def _can_be_estimated(self) -> Self:
        problem = measure_problem(self.measure, self.estimator, self.block)
        if problem:
            raise ValueError(problem)
        return self


class SpaceSpec(Section):
    """What may vary. A range is `[low, high]`, a choice is a list."""

    loss: Annotated[tuple[FeatureLossName, ...], Field(min_length=1)] = Field(
        ("nmse", "cosine"), description="feature losses to choose from"
    )
    projector: Annotated[tuple[ProjectorName, ...], Field(min_length=1)] = Field(
        ("linear",), description="projectors from student to teacher features to choose from"
    )
    aggregation: Annotated[tuple[AggregationName, ...], Field(min_length=1)] = Field(
        ("sum",), description="how several teacher layers teach one student layer, to choose from"
    )
    balance: Annotated[tuple[BalanceName, ...], Field(min_length=1)] = Field(
        ("frozen",), description="how the terms of the loss are balanced, to choose from"
    )
    feature_share: Range = Field((0.1, 0.9), description="range of the share of the total loss given to the features")
    anneal: Annotated[tuple[Share, ...], Field(min_length=1)] = Field(
        (0.5, 1.0),
        description="fractions of the training at whose end the feature share has faded to zero, to choose from",
    )
    logit_weight: Annotated[tuple[Annotated[float, Field(gt=0)], ...], Field(min_length=1)] = Field(
        (0.3, 1.0, 3.0), description="weights of the output loss to try; tuned without features, then frozen"
    )
    temperature: Annotated[tuple[Annotated[float, Field(gt=0, le=100)], ...], Field(min_length=1)] = Field(
        (2.0, 4.0), description="temperatures of the output loss to try; tuned without features, then frozen"
    )
    width: Range = Field(
        (0.3, 3.0),
        description="range of the spread of teacher layers around a depth curve (standard deviation, in layers)",
    )
    similarity_weight: Range = Field((-2.0, 2.0), description="range of the signed strength of the similarity prior")
    max_teachers: int = Field(3, ge=1, description="maximum number of teacher layers per student layer")
    free: Fraction = Field(0.2, description="share of the proposals without a depth curve")

    @field_validator("feature_share", "width", "similarity_weight")
    @classmethod
    def _rises(cls, value: Range) -> Range:
        if value[0] > value[1]:
            raise ValueError(f"a range is [low, high] with low <= high, but got {list(value)}")
        return value

    @field_validator("feature_share")
    @classmethod
    def _is_share(cls, value: Range) -> Range:
        if not 0 < value[0] <= value[1] <= 1:
            raise ValueError(f"`0 < low <= high <= 1` must hold, but got {list(value)}")
        return value

    @field_validator("width")
    @classmethod
    def _is_positive(cls, value: Range) -> Range:
        if value[0] <= 0:
            raise ValueError(f"`low > 0` must hold, but got {list(value)}")
        return value


class SearchSpec(Section):
    """How much is tried before anything is confirmed."""

    trials: int = Field(40, ge=1, description="proposed recipes; the controls come on top")
    seeds: int = Field(1, ge=1, description="runs of each proposal at the first rung")
    sampler: Literal["tpe", "random"] = Field("tpe", description="what proposes recipes")
    rungs: tuple[Share, Share, Share] = Field(
        (0.15, 0.4, 1.0), description="fractions of train.steps: search, tune and shortlist, confirm"
    )
    batch: int = Field(8, ge=1, description="number of proposals asked for at once")
    noise_seeds: int = Field(3, ge=2, description="seeds per control when seed noise is measured")
    when_flat: Literal["continue", "stop"] = Field(
        "continue", description="stop: skip the search when mappings do not differ beyond seed noise"
    )

    @field_validator("rungs")
    @classmethod
    def _climbs(cls, value: tuple[float, float, float]) -> tuple[float, float, float]:
        if not value[0] < value[1] < value[2] == 1.0:
            raise ValueError(f"three rising fractions that end with 1.0 must be given, but got {list(value)}")
        return value


class ConfirmSpec(Section):
    """How the winner is proven; fewer than six seeds can never say BEATS."""

    finalists: int = Field(3, ge=1, description="number of recipes confirmed; the best of them is the nominee")
    seeds: int = Field(6, ge=2, le=16, description="fresh seeds per recipe; fewer than six can never say BEATS")
    margin: float | None = Field(
        None, gt=0, description="differences up to this are a tie; unset: one seed's standard deviation"
    )


UNSTATED = "unstated"
"""The direction of a study that does not state it, though the name of its metric rules a default out."""


class StudySpec(Section):
    """One study file: what is compared, and in `execution` where it runs.

    `folder`, where the file lies, and `notices`, what its author should know, are not keys of the file.
    """

    name: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100, description="name of the study in its database"
    )
    task: str = Field(description="task.py:Class relative to this file, or package.module:Class")
    options: dict[str, Any] = Field(default_factory=dict, description="keyword arguments of the task")
    metric: str = Field("accuracy", description="a key of `Task.metrics`; the defaults are accuracy and loss")
    direction: Literal["maximize", "minimize"] = Field(
        "maximize",
        validate_default=True,
        description="whether more or less of the metric is better",
    )
    seed: int = Field(0, ge=0, lt=2**31, description="the seed that every seed of the study comes from")
    train: TrainSpec = TrainSpec()  # type: ignore[call-arg]  # every field has a default
    layers: LayersSpec = LayersSpec()  # type: ignore[call-arg]
    similarity: SimilaritySpec = SimilaritySpec()  # type: ignore[call-arg]
    space: SpaceSpec = SpaceSpec()  # type: ignore[call-arg]
    search: SearchSpec = SearchSpec()  # type: ignore[call-arg]
    confirm: ConfirmSpec = ConfirmSpec()  # type: ignore[call-arg]
    execution: Execution = Execution()  # type: ignore[call-arg]
    folder: SkipJsonSchema[Path] = Field(default=Path(), exclude=True)
    notices: SkipJsonSchema[tuple[str, ...]] = Field(default=(), exclude=True)

    @field_validator("task")
    @classmethod
    def _names_a_class(cls, value: str) -> str:
        if not re.fullmatch(r"[^:]+:[A-Za-z_]\w*", value):
            raise ValueError(f"`file.py:Class` or `package.module:Class` must be given, but got {shortened(value)}")
        return value

    @field_validator("options")
    @classmethod
    def _can_be_stored(cls, value: dict[str, Any]) -> dict[str, Any]:
        try:
            json.dumps(value, allow_nan=False)
        except (TypeError, ValueError):
            said = f"plain data with finite numbers must be given, but got {shortened(value)}"
            raise ValueError(said) from None
        return value

    @model_validator(mode="before")
    @classmethod
    def _has_no_default_direction(cls, data: Any) -> Any:
        metric = data.get("metric") if isinstance(data, dict) else None
        if isinstance(metric, str) and "direction" not in data and must_be_stated(metric):
            return {**data, "direction": UNSTATED}
        return data

    @field_validator("direction", mode="before")
    @classmethod
    def _is_stated(cls, value: Any, info: ValidationInfo) -> Any:
        if value == UNSTATED:
            metric = info.data["metric"]
            raise ValueError(f"must be stated for the metric `{metric}`: minimize, or maximize if more of it is better")
        return value

    @field_validator("direction")
    @classmethod
    def _can_be_meant(cls, value: str, info: ValidationInfo) -> str:
        if problem := direction_problem(info.data.get("metric", ""), value):
            raise ValueError(problem)
        return value

    def n_steps(self, rung: int) -> int:
        """Optimizer steps of a run at that rung (0, 1 or 2), at least two."""
        return max(2, round(self.train.steps * self.search.rungs[rung]))

    def to_json(self) -> dict[str, Any]:
        """Every key with its value, defaults written out."""
        return self.model_dump(mode="json")
