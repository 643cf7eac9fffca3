"""What the preflight of a study found: findings, the layers that take part, and a forecast."""

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from mapsearch.core.layers import Layer
from mapsearch.core.metrics import storable
from mapsearch.core.outputs import CLASS_SCORES, Outputs

Level = Literal["ok", "warning", "error"]


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    `code` is `topic.condition`, such as `teacher.blank`: it stays when the message is reworded.
    """

    level: Level
    code: str
    message: str

    @property
    def topic(self) -> str:
        """What was looked at, in a word."""
        return self.code.partition(".")[0]

    def to_json(self) -> dict[str, str]:
        """Plain data."""
        return {"level": self.level, "topic": self.topic, "code": self.code, "message": self.message}


@dataclass(frozen=True)
class CheckReport:
    """All findings, and what was measured on the way; a part that could not be looked at is empty.

    Metrics are those of the validation data, the student's before any training. `seconds` holds
    `teacher_pass` and `student_step` of one batch, `step` of one optimizer step with its part of the teacher pass,
    and `evaluation` of a student over the validation data; `redraws` whether each seed draws its own training samples,
    `copied` the teacher layer whose weights a student layer starts from, by the student's.
    """

    findings: tuple[Finding, ...]
    student: tuple[Layer, ...] = ()
    teacher: tuple[Layer, ...] = ()
    outputs: Outputs = CLASS_SCORES
    redraws: bool = False
    copied: dict[str, str] = field(default_factory=dict)
    teacher_metrics: dict[str, float] = field(default_factory=dict)
    student_metrics: dict[str, float] = field(default_factory=dict)
    n_student_parameters: int = 0
    n_teacher_parameters: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    forecast: str = ""

    @property
    def errors(self) -> tuple[Finding, ...]:
        """What must be fixed before the study can run."""
        return tuple(finding for finding in self.findings if finding.level == "error")

    def to_json(self) -> dict[str, Any]:
        """Plain data; a metric that is not a number becomes None, which JSON can hold."""
        layers = {name: [layer.to_json() for layer in getattr(self, name)] for name in ("student", "teacher")}
        metrics = {name: storable(getattr(self, name)) for name in ("teacher_metrics", "student_metrics")}
        findings = [finding.to_json() for finding in self.findings]
        return {**asdict(self), "findings": findings, **layers, **metrics}
