"""What the stages of a study found, beside its trials and runs."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from mapsearch.core.layers import Layer
from mapsearch.core.outputs import CLASS_SCORES, Outputs
from mapsearch.core.overheads import Overheads
from mapsearch.core.port import Port
from mapsearch.core.runs import Split
from mapsearch.core.similarity import Similarity
from mapsearch.core.verdict import Verdict

Network = Literal["student", "teacher"]


@dataclass(frozen=True)
class EqualTime:
    """The trial of `outputs` that gets a nominee's training time: its steps exceed those of a full run."""

    nominee: int
    trial: int
    n_steps: int


@dataclass(frozen=True)
class Nomination:
    """A nominee, the share of the study's 5 % at which it is judged, and its fresh seeds once another replaced it."""

    trial: int
    share: float
    n_seeds: int = 0


@dataclass(frozen=True)
class StudyFacts:
    """What is known of a study so far.

    `environment` holds versions, the device and the digest of the task file (`task_sha256`); `teacher`
    the teacher's metrics on the validation data, None where one is not finite; `layers` the mappable
    layers of both networks; `outputs` how the task's outputs are read; `redraws` whether
    each seed draws its own training samples; `copied` the teacher layer whose weights a student layer starts from, by
    the student's; `finalists` the trial numbers that the
    confirm stage chose, best first, and `finalists_chosen_from` out of how many trials how many were asked for;
    `baseline` is the metric of the untrained student or a constant guess, whichever is better, by split; `extended_to`
    the fresh seeds that `mapsearch confirm` asked for; `margin` the difference that does not matter, frozen before
    anything was confirmed, and `margin_reason` where it comes from; `overheads` what recipes cost, smoothed, and
    `equal_time` the trials without features that train as long as a nominee; `nominations` all nominees in their order;
    `port` what was taken over from an old study.
    """

    environment: Mapping[str, str] = field(default_factory=dict)
    teacher: Mapping[str, float | None] = field(default_factory=dict)
    layers: Mapping[Network, tuple[Layer, ...]] = field(default_factory=dict)
    similarity: Similarity | None = None
    outputs: Outputs = CLASS_SCORES
    redraws: bool = False
    copied: Mapping[str, str] = field(default_factory=dict)
    finalists: tuple[int, ...] | None = None
    finalists_chosen_from: tuple[int, int] | None = None
    verdict: Verdict | None = None
    baseline: Mapping[Split, float] = field(default_factory=dict)
    extended_to: int | None = None
    margin: float | None = None
    margin_reason: str = ""
    overheads: Overheads | None = None
    equal_time: tuple[EqualTime, ...] = ()
    nominations: tuple[Nomination, ...] = ()
    port: Port | None = None

    @property
    def is_checked(self) -> bool:
        """Whether the networks were checked and compared, so that trials may be trained."""
        return self.similarity is not None

    @property
    def error_share(self) -> float:
        """The share of the study's error at which its nominee is judged; of what needs no nominee, all of it."""
        return (self.nominations[-1].share if self.nominations else 1.0) or 1.0

    def equal_time_of(self, nominee: int) -> EqualTime | None:
        """The trial without features that trains as long as that nominee, if there is one."""
        return next((row for row in self.equal_time if row.nominee == nominee), None)

    def to_json(self) -> dict[str, Any]:
        """Plain data without what is not known yet; `from_json` gives equal facts back."""
        data = {
            "environment": dict(self.environment),
            "teacher": dict(self.teacher),
            "layers": {network: [layer.to_json() for layer in layers] for network, layers in self.layers.items()},
            "similarity": self.similarity and self.similarity.to_json(),
            "outputs": None if self.outputs == CLASS_SCORES else self.outputs.to_json(),
            "redraws": self.redraws or None,
            "copied": dict(self.copied),
            "finalists": None if self.finalists is None else list(self.finalists),
            "finalists_chosen_from": self.finalists_chosen_from and list(self.finalists_chosen_from),
            "verdict": self.verdict and self.verdict.to_json(),
            "baseline": dict(self.baseline),
            "extended_to": self.extended_to,
            "margin": self.margin,
            "margin_reason": self.margin_reason or None,
            "overheads": self.overheads and self.overheads.to_json(),
            "equal_time": [asdict(row) for row in self.equal_time] or None,
            "port": self.port and self.port.to_json(),
            "nominations": [asdict(row) for row in self.nominations] or None,
        }
        return {name: value for name, value in data.items() if value not in (None, {})}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "StudyFacts":
        """The facts that `to_json` wrote, or an earlier version of mapsearch."""
        layers, chosen_from = data.get("layers", {}), data.get("finalists_chosen_from")
        return cls(
            environment=data.get("environment", {}),
            teacher=data.get("teacher", {}),
            layers={network: tuple(Layer.from_json(layer) for layer in found) for network, found in layers.items()},
            similarity=Similarity.from_json(data["similarity"]) if "similarity" in data else None,
            outputs=Outputs.from_json(data["outputs"]) if "outputs" in data else CLASS_SCORES,
            redraws=data.get("redraws", False),
            copied=data.get("copied", {}),
            finalists=tuple(data["finalists"]) if "finalists" in data else None,
            finalists_chosen_from=(chosen_from[0], chosen_from[1]) if chosen_from else None,
            verdict=Verdict.from_json(data["verdict"]) if "verdict" in data else None,
            baseline=data.get("baseline", {}),
            extended_to=data.get("extended_to"),
            margin=data.get("margin"),
            margin_reason=data.get("margin_reason", ""),
            overheads=Overheads.from_json(data["overheads"]) if "overheads" in data else None,
            equal_time=tuple(EqualTime(**row) for row in data.get("equal_time", ())),
            port=Port.from_json(data["port"]) if "port" in data else None,
            nominations=tuple(Nomination(**row) for row in data.get("nominations", ())),
        )
