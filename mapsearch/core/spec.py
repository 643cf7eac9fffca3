"""The study file as frozen data: every key, its default and its range stand here once."""

import re
from collections.abc import Hashable
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    field_validator,
    model_validator,
)
from pydantic.json_schema import SkipJsonSchema

from mapsearch.core.errors import SpecError, did_you_mean
from mapsearch.core.layers import Kind
from mapsearch.core.recipe import AggregationName, BalanceName, FeatureLossName, ProjectorName
from mapsearch.core.similarity import EstimatorName, MeasureName, measure_problem

Section = TypeVar("Section", bound=BaseModel)
Range = tuple[float, float]
Fraction = Annotated[float, Field(ge=0, le=1)]
Share = Annotated[float, Field(gt=0, le=1)]


def _auto_or(what: str) -> WrapValidator:
    """One message for both branches of `auto | …`, where pydantic would give one each."""

    def check(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
        try:
            return handler(value)
        except ValidationError:
            raise ValueError(f"`auto` or {what} must be given, but got {value!r}") from None

    return WrapValidator(check)


Names = Annotated[
    Literal["auto"] | Annotated[tuple[str, ...], Field(min_length=1)], _auto_or("a list of names and globs")
]
Block = Annotated[Literal["auto", "all"] | Annotated[int, Field(ge=4)], _auto_or("`all` or a whole number >= 4")]
Workers = Annotated[Literal["auto"] | Annotated[int, Field(ge=1)], _auto_or("a whole number >= 1")]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _is_no_switch(cls, value: Any) -> Any:
        if isinstance(value, bool):  # pydantic takes `true` for 1, and YAML takes `on` for `true`
            raise ValueError(f"no key of a study file is a switch, but got {str(value).lower()}")
        return value


class TrainSpec(_Frozen):
    """One full training of a student; shorter rungs compress the same schedule."""

    steps: int = Field(300, ge=5, description="optimizer steps of the full schedule")
    batch_size: int = Field(64, ge=2)
    optimizer: Literal["adamw", "sgd"] = "adamw"
    lr: float = Field(2.0e-3, gt=0, description="peak learning rate of student and projectors")
    weight_decay: float = Field(0.01, ge=0)
    warmup: float = Field(0.05, ge=0, lt=1, description="fraction of the steps with rising learning rate")
    max_grad_norm: float = Field(5.0, gt=0, description="gradients are clipped to this norm")
    device: str = Field("auto", description="auto, cpu, cuda or cuda:N")
    threads: int = Field(1, ge=1, description="CPU threads of one worker")
    cohort: int = Field(8, ge=1, description="most students trained side by side in one worker")
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="of both networks' forward passes; auto: bfloat16 on a GPU that has it, else float32"
    )
    cache_bytes: int = Field(
        2**30, ge=0, description="most memory of one worker for what the teacher said of the training samples; 0: none"
    )


class LayersSpec(_Frozen):
    """Which layers take part: `auto` (the repeated blocks of the trunk) or a list of names and globs."""

    teacher: Names = "auto"
    student: Names = "auto"
    kinds: dict[str, Kind] = Field(
        default_factory=dict, description="layers whose shape misleads: name or glob -> vector, tokens or map"
    )


class SimilaritySpec(_Frozen):
    """How the similarity of layers is measured before the search."""

    measure: MeasureName = "cka"
    estimator: EstimatorName = "debiased"
    samples: Annotated[int, Field(ge=64)] | None = Field(
        2048, description="most training samples shown to both networks; null: all"
    )
    tolerance: float | None = Field(
        0.01, gt=0, description="enough samples were seen when every value is known to +- this (95 %)"
    )
    block: Block = Field(
        "auto", description="samples compared with each other at once; all: every sample with every other"
    )
    maps: Literal["flatten", "grid", "mean"] = Field("flatten", description="how a map becomes one row")
    tokens: Literal["mean", "first", "flatten", "samples"] = Field("mean", description="how tokens become rows")
    outliers: Literal["clip", "normalise", "keep"] = Field("clip", description="tokens of huge norm")

    @model_validator(mode="after")
    def _can_be_estimated(self) -> Self:
        problem = measure_problem(self.measure, self.estimator, self.block)
        if problem:
            raise ValueError(problem)
        return self


class SpaceSpec(_Frozen):
    """What may vary. A range is `[low, high]`, a choice is a list."""

    loss: Annotated[tuple[FeatureLossName, ...], Field(min_length=1)] = ("nmse", "cosine")
    projector: Annotated[tuple[ProjectorName, ...], Field(min_length=1)] = ("linear",)
    aggregation: Annotated[tuple[AggregationName, ...], Field(min_length=1)] = ("sum",)
    balance: Annotated[tuple[BalanceName, ...], Field(min_length=1)] = ("frozen",)
    feature_share: Range = (0.1, 0.9)
    anneal: Annotated[tuple[Share, ...], Field(min_length=1)] = (0.5, 1.0)
    logit_weight: Annotated[tuple[Annotated[float, Field(gt=0)], ...], Field(min_length=1)] = (0.3, 1.0, 3.0)
    temperature: Annotated[tuple[Annotated[float, Field(gt=0, le=100)], ...], Field(min_length=1)] = (2.0, 4.0)
    width: Range = Field((0.3, 3.0), description="how many teacher layers around the curve take part (sd)")
    similarity_weight: Range = Field((-2.0, 2.0), description="signed strength of the similarity prior")
    max_teachers: int = Field(3, ge=1, description="most teacher layers per student layer")
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


class SearchSpec(_Frozen):
    """How much is tried before anything is confirmed."""

    trials: int = Field(40, ge=1, description="proposed recipes; the controls come on top")
    seeds: int = Field(1, ge=1, description="runs of each proposal at the first rung")
    sampler: Literal["tpe", "random"] = "tpe"
    rungs: tuple[Share, Share, Share] = Field(
        (0.15, 0.4, 1.0), description="fractions of train.steps: search, tune and shortlist, confirm"
    )
    batch: int = Field(8, ge=1, description="proposals asked for at once")
    noise_seeds: int = Field(3, ge=2, description="seeds per control when seed noise is measured")
    when_flat: Literal["continue", "stop"] = Field(
        "continue", description="stop: skip the search when mappings do not differ beyond seed noise"
    )
    workers: Workers = Field("auto", description="processes; auto: one per GPU, else per CPU core")

    @field_validator("rungs")
    @classmethod
    def _climbs(cls, value: tuple[float, float, float]) -> tuple[float, float, float]:
        if not value[0] < value[1] < value[2] == 1.0:
            raise ValueError(f"three rising fractions that end with 1.0 must be given, but got {list(value)}")
        return value


class ConfirmSpec(_Frozen):
    """How the winner is proven; fewer than six seeds can never say BEATS."""

    finalists: int = Field(3, ge=1)
    seeds: int = Field(6, ge=2, le=16)
    margin: float | None = Field(
        None, gt=0, description="differences up to this are a tie; unset: one seed's standard deviation"
    )


class StudySpec(_Frozen):
    """One study file. `folder` is where it lies; it is no key of the file."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)
    task: str = Field(description="task.py:Class relative to this file, or package.module:Class")
    options: dict[str, Any] = Field(default_factory=dict, description="keyword arguments of the task")
    metric: str = "accuracy"
    direction: Literal["maximize", "minimize"] = Field("maximize", validate_default=True)
    seed: int = Field(0, ge=0, lt=2**31)
    train: TrainSpec = TrainSpec()  # type: ignore[call-arg]  # every field has a default
    layers: LayersSpec = LayersSpec()
    similarity: SimilaritySpec = SimilaritySpec()  # type: ignore[call-arg]
    space: SpaceSpec = SpaceSpec()  # type: ignore[call-arg]
    search: SearchSpec = SearchSpec()  # type: ignore[call-arg]
    confirm: ConfirmSpec = ConfirmSpec()  # type: ignore[call-arg]
    folder: SkipJsonSchema[Path] = Field(default=Path(), exclude=True)

    @field_validator("task")
    @classmethod
    def _names_a_class(cls, value: str) -> str:
        if not re.fullmatch(r"[^:]+:[A-Za-z_]\w*", value):
            raise ValueError(f"`file.py:Class` or `package.module:Class` must be given, but got {value!r}")
        return value

    @field_validator("direction")
    @classmethod
    def _points_the_right_way(cls, value: str, info: ValidationInfo) -> str:
        metric = info.data.get("metric", "")
        if re.search(r"loss|error|perplexity|nll|mse|mae", metric) and value == "maximize":
            raise ValueError(f"metric `{metric}` looks like a loss, but direction is maximize; set `minimize`")
        if metric == "accuracy" and value == "minimize":
            raise ValueError("metric `accuracy` with direction minimize searches for the worst student; set `maximize`")
        return value

    def n_steps(self, rung: int) -> int:
        """Optimizer steps of a run at that rung (0, 1 or 2), at least two."""
        return max(2, round(self.train.steps * self.search.rungs[rung]))

    def to_json(self) -> dict[str, Any]:
        """Every key with its value, defaults written out."""
        return self.model_dump(mode="json")


def parse_section(section: type[Section], options: dict[str, Any]) -> Section:
    """One section of a study file from plain values, such as the arguments of a function.

    Raises:
        SpecError: a value breaks the schema; all problems at once.
    """
    try:
        return section.model_validate(options)
    except ValidationError as error:
        raise SpecError(*_problems(error)) from None


def with_defaults(data: dict[str, Any]) -> dict[str, Any]:
    """A stored `StudySpec.to_json()` with the keys that a newer version has brought, at their defaults."""
    try:
        return StudySpec.model_validate(data).to_json()
    except ValidationError:  # written by a version whose keys are no longer known
        return data


def load_study(path: Path | str) -> StudySpec:
    """The study of a file.

    Raises:
        SpecError: the file cannot be read, or breaks the schema; all problems at once.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(f"{path}: the study file cannot be read: {error}; `mapsearch init DIR` writes one") from None
    return parse_study(text, path)


def parse_study(text: str, path: Path) -> StudySpec:
    """The study that `text` describes; `path` is its file, for messages and for the task's folder.

    Raises:
        SpecError: the text breaks the schema; all problems at once.
    """
    try:
        data = yaml.load(text, Loader=_UniqueKeys)  # a SafeLoader
    except yaml.YAMLError as error:
        raise SpecError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
    if data is None:
        raise SpecError(f"{path}: the study file is empty; `mapsearch init DIR` writes one to begin with")
    if not isinstance(data, dict):
        raise SpecError(f"{path}: a study file is a mapping of keys to values, but got {type(data).__name__}")
    problems = ["`folder` is no key of a study file; the task is looked up beside the file"] * ("folder" in data)
    try:
        study = StudySpec.model_validate({**data, "folder": path.resolve().parent})
    except ValidationError as error:
        problems += _problems(error)
    if problems:
        raise SpecError(*(f"{path}: {problem}" for problem in problems))
    return study


class _UniqueKeys(yaml.SafeLoader):
    """YAML that refuses a key given twice, where PyYAML would silently keep the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen = set()
        for key_node, _ in node.value:
            key = str(self.construct_object(key_node, deep=True))
            if key in seen:
                raise yaml.YAMLError(f"line {key_node.start_mark.line + 1}: key `{key}` is given twice")
            seen.add(key)
        return super().construct_mapping(node, deep=deep)


def _problems(error: ValidationError) -> list[str]:
    """One line per place; a tuple emptied by its own bad items is not too short as well."""
    items: list[dict[str, Any]] = [dict(item) for item in error.errors()]
    items.sort(key=lambda item: item["type"] != "extra_forbidden")  # a misspelt key may be the cause of the others
    places = [item["loc"] for item in items]
    inner = {place[:depth] for place in places for depth in range(len(place))}
    return [_problem(item) for item in items if item["type"] != "too_short" or item["loc"] not in inner]


def _problem(error: dict[str, Any]) -> str:
    """One line: dotted path, what must hold, what was given, and close matches of a misspelt name."""
    location = [str(part) for part in error["loc"]]
    path = ".".join(location) or "study"
    if error["type"] == "extra_forbidden":
        known = _keys_at(location[:-1])
        return f"unknown key `{path}`{did_you_mean(location[-1], known) or '; known here: ' + ', '.join(known)}"
    if error["type"] == "missing":
        return f"`{path}` is missing"
    if error["type"] == "model_type":
        return f"`{path}`: a section of keys and values must be given, but got {error['input']!r}"
    message = error["msg"].removeprefix("Value error, ")
    message = (message[0].lower() + message[1:]).replace("tuple", "list")
    given = "" if "but got" in message or error["type"] == "value_error" else f", but got {error['input']!r}"
    names = re.findall(r"'([^']+)'", error["ctx"]["expected"]) if error["type"] == "literal_error" else []
    return f"`{path}`: {message}{given}{did_you_mean(str(error['input']), names)}"


def _keys_at(location: list[str]) -> list[str]:
    model: type[BaseModel] = StudySpec
    for part in location:
        annotation = model.model_fields[part].annotation
        assert isinstance(annotation, type)
        assert issubclass(annotation, BaseModel)
        model = annotation
    return [key for key in model.model_fields if key != "folder"]
