"""The terms of a feature loss: a pair of layers each, or a student layer with a mixture of its teacher layers."""

from collections.abc import Sequence
from dataclasses import dataclass

from mapsearch.core.mapping import LayerMapping, Pair


@dataclass(frozen=True)
class FeatureTerm:
    """One term of the feature loss.

    `weight` is its part of the feature loss; the terms' weights sum to one. `parts` are the weights
    of its teacher layers within the mixture; they sum to one as well.
    """

    student: str
    teachers: tuple[str, ...]
    weight: float
    parts: tuple[float, ...]

    @property
    def name(self) -> str:
        """`student <- teacher`, or `student <- one + other`: its name in errors, warnings and curves."""
        return f"{self.student} <- {' + '.join(self.teachers)}"


def pair_terms(mapping: LayerMapping) -> tuple[FeatureTerm, ...]:
    """One term per pair, in the order of the pairs."""
    return tuple(_term([pair]) for pair in mapping.normalised().pairs)


def row_terms(mapping: LayerMapping) -> tuple[FeatureTerm, ...]:
    """One term per student layer; their teacher layers, concatenated, follow the order of the mapping's pairs."""
    pairs = mapping.normalised().pairs
    return tuple(_term([pair for pair in pairs if pair.student == layer]) for layer in mapping.student_layers)


def _term(row: Sequence[Pair]) -> FeatureTerm:
    weight = sum(pair.weight for pair in row)
    parts = tuple(pair.weight / weight for pair in row)
    return FeatureTerm(row[0].student, tuple(pair.teacher for pair in row), weight, parts)
