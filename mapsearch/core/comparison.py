"""The comparison of two similarities of the same layers."""

from dataclasses import asdict, dataclass
from typing import Any

from mapsearch.core.similarity import Similarity


@dataclass(frozen=True)
class CellChange:
    """The values of one pair of layers in both similarities."""

    student: str
    teacher: str
    before: float
    after: float

    @property
    def difference(self) -> float:
        """After minus before."""
        return self.after - self.before


@dataclass(frozen=True)
class BestTeacher:
    """The teacher layer most like one student layer, in both similarities.

    `certain`: in each of the two similarities, its best teacher layer is ahead of the other's best by more
    than 1.96 joint standard errors; None where the best did not change or an error is unknown.
    """

    student: str
    before: str
    after: str
    certain: bool | None

    @property
    def changed(self) -> bool:
        """Whether the two similarities disagree about the best teacher layer."""
        return self.before != self.after


@dataclass(frozen=True)
class Comparison:
    """What changed from one similarity to another.

    `rank_correlation` is Spearman's over all cells, None where all values of one are equal.
    `same_samples` is None where a digest is unknown. `notes` say what makes the two hard to compare.
    """

    before: Similarity
    after: Similarity
    rank_correlation: float | None
    largest: CellChange
    best: tuple[BestTeacher, ...]
    same_samples: bool | None
    notes: tuple[str, ...] = ()

    @property
    def difference(self) -> tuple[tuple[float, ...], ...]:
        """After minus before, `[S][T]`."""
        rows = zip(self.before.values, self.after.values, strict=True)
        return tuple(tuple(y - x for x, y in zip(a, b, strict=True)) for a, b in rows)

    def to_json(self) -> dict[str, Any]:
        """Plain data, the differences written out."""
        largest = {**asdict(self.largest), "difference": self.largest.difference}
        best = [{**asdict(row), "changed": row.changed} for row in self.best]
        return {**asdict(self), "largest": largest, "best": best, "difference": self.difference}
