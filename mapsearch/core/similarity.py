"""How alike the layers of two networks are, with the floor under which it is noise."""

from dataclasses import asdict, dataclass
from statistics import fmean, pstdev
from typing import Any


@dataclass(frozen=True)
class Similarity:
    """A matrix `values[S][T]` of debiased similarity, about 0 for unrelated features and 1 for equal ones.

    Debiased values may lie slightly below zero. `noise_floor` is the 95 % quantile of the absolute
    value over the same features with their rows shuffled: what unrelated features would show.
    `spread_floor` is the same quantile of the widest spread within any student layer's row.
    `features` says how a layer's output became one row per sample.
    """

    student_layers: tuple[str, ...]
    teacher_layers: tuple[str, ...]
    values: tuple[tuple[float, ...], ...]
    noise_floor: float
    measure: str
    n_samples: int
    features: str
    spread_floor: float = 0.0

    @property
    def is_flat(self) -> bool:
        """Whether no student layer tells the teacher layers apart by more than shuffled samples would."""
        return all(self._is_noise(row) for row in self.values)

    def _is_noise(self, row: tuple[float, ...]) -> bool:
        return max(row) - min(row) <= self.spread_floor

    def z(self) -> list[list[float]]:
        """The values standardised within each student layer, `[S, T]`; zeros where a row spreads no more than noise."""
        rows = []
        for row in self.values:
            mean, deviation = fmean(row), pstdev(row)
            tells = deviation > 1e-12 and not self._is_noise(row)
            rows.append([(value - mean) / deviation if tells else 0.0 for value in row])
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
