"""A final training: what is asked for, how it goes and what came out."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Keep = Literal["last", "best"]
"""Which weights the student keeps: those of the last step, or those that were best on the validation data."""


@dataclass(frozen=True)
class TrainRequest:
    """How a student is trained, beside the settings of its recipe's file.

    `validate_every` and `checkpoint_every` are in steps; neither changes the student, unless the best one is kept.
    """

    n_steps: int
    seed: int
    validate_every: int
    checkpoint_every: int
    keep: Keep = "last"


@dataclass(frozen=True)
class Validation:
    """The student on the validation data after `step` steps."""

    step: int
    metrics: Mapping[str, float | None]


@dataclass(frozen=True)
class TrainReport:
    """How a final training went; `metrics.json` holds it.

    `training` says what was trained: study, trial, recipe, seed, steps and settings. `metrics` and `teacher` are by
    data set, `valid` and `test`, and then by name; None where one is not finite.
    `curve` holds (step, loss), `kept_step` is the step of the weights that were kept.
    """

    training: Mapping[str, Any]
    metric: str
    kept_step: int
    metrics: Mapping[str, Mapping[str, float | None]]
    teacher: Mapping[str, Mapping[str, float | None]]
    first_loss: float | None
    curve: tuple[tuple[int, float], ...]
    validations: tuple[Validation, ...]
    seconds: float
    environment: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Plain data; `from_json` gives an equal report back."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "TrainReport":
        """The report that `to_json` wrote."""
        curve = tuple((step, loss) for step, loss in data["curve"])
        validations = tuple(Validation(**row) for row in data["validations"])
        return cls(**{**data, "curve": curve, "validations": validations})
