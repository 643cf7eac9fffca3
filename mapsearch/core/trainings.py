"""Final trainings that the service keeps: what was ordered, how far it is, what there is to fetch."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from mapsearch.core.trained import Keep

TrainingState = Literal["queued", "running", "stopped", "complete", "failed"]


@dataclass(frozen=True)
class TrainingOrder:
    """A training as it was asked for: what is None is as `mapsearch train` takes it by itself."""

    study: str
    trial: int
    steps: int | None
    seed: int | None
    keep: Keep
    created_at: str


@dataclass(frozen=True)
class TrainingFile:
    """A file that a training has written so far."""

    name: str
    n_bytes: int


@dataclass(frozen=True)
class Training:
    """A training of the service; `problem` says why it failed, `report` is its `metrics.json` once it is complete."""

    id: str
    state: TrainingState
    order: TrainingOrder
    files: tuple[TrainingFile, ...]
    problem: str | None
    report: Mapping[str, Any] | None

    def to_json(self) -> dict[str, Any]:
        """Plain data: the order beside the rest."""
        return {
            "id": self.id,
            "state": self.state,
            **{name: getattr(self.order, name) for name in TrainingOrder.__dataclass_fields__},
            "problem": self.problem,
            "files": [{"name": file.name, "n_bytes": file.n_bytes} for file in self.files],
            "metrics": self.report and self.report["metrics"],
            "teacher": self.report and self.report["teacher"],
        }
