"""How alike the layers of two networks are, with the floor under which it is noise."""

from dataclasses import asdict, dataclass
from statistics import fmean, pstdev
from typing import Any


@dataclass(frozen=True)
class Similarity:
    """A matrix `values[S][T]` of debiased similarity, about 0 for unrelated features and 1 for equal ones.

    Debiased values may lie slightly below zero. `noise_floor` is the 95 % quantile of the absolute
    value over the same features with their rows shuffled: what unrelated features would show.
    `features` says how a layer's output became one row per sample.
    """

    student_layers: tuple[str, ...]
    teacher_layers: tuple[str, ...]
    values: tuple[tuple[float, ...], ...]
    noise_floor: float
    measure: str
    n_samples: int
    features: str

    @property
    def is_flat(self) -> bool:
        """Whether no student layer tells the teacher layers apart by more than the noise floor."""
        return all(max(row) - min(row) <= self.noise_floor for row in self.values)

    def z(self) -> list[list[float]]:
        """The values standardised within each student layer, `[S, T]`; zeros where a row is constant."""
        rows = []
        for row in self.values:
            mean, deviation = fmean(row), pstdev(row)
            rows.append([(value - mean) / deviation if deviation > 1e-12 else 0.0 for value in row])
        return rows

    def to_json(self) -> dict[str, Any]:
        """Plain data; `from_json` gives an equal similarity back."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Similarity":
        """The similarity that `to_json` wrote."""
        return cls(
            **{
                **data,
                "student_layers": tuple(data["student_layers"]),
                "teacher_layers": tuple(data["teacher_layers"]),
                "values": tuple(tuple(row) for row in data["values"]),
            }
        )
