"""What a recipe matches at once: a pair of layers, or a student layer with a mixture of its teacher layers."""

from collections.abc import Sequence
from dataclasses import dataclass

from mapsearch.core.mapping import LayerMapping, Pair


@dataclass(frozen=True)
class FeatureTerm:
    """One term of the feature loss.

    `weight` is its part of the feature loss: the terms' weights sum to one. `parts` are what its
    teacher layers bring to the mixture, one per layer: they sum to one as well.
    """

    student: str
    teachers: tuple[str, ...]
    weight: float
    parts: tuple[float, ...]

    @property
    def name(self) -> str:
        """`student <- teacher`, or `student <- one + other`: its name in errors, notes and curves."""
        return f"{self.student} <- {' + '.join(self.teachers)}"


def pair_terms(mapping: LayerMapping) -> tuple[FeatureTerm, ...]:
    """A term per pair, in the order of the pairs."""
    return tuple(_term([pair]) for pair in mapping.normalised().pairs)


def row_terms(mapping: LayerMapping) -> tuple[FeatureTerm, ...]:
    """A term per student layer; the teacher layers of all rows, one after the other, are in the order of the pairs."""
    pairs = mapping.normalised().pairs
    return tuple(_term([pair for pair in pairs if pair.student == layer]) for layer in mapping.student_layers)


def _term(row: Sequence[Pair]) -> FeatureTerm:
    weight = sum(pair.weight for pair in row)
    parts = tuple(pair.weight / weight for pair in row)
    return FeatureTerm(row[0].student, tuple(pair.teacher for pair in row), weight, parts)
