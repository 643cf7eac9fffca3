"""What every picture of a similarity marks, on paper or in a terminal: noise, best teacher layers, assignment."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from mapsearch.core.similarity import Similarity

MEASURE_TITLES = {
    "cka": "linear CKA",
    "rbf_cka": "RBF CKA",
    "distance_correlation": "distance correlation",
    "rsa": "RSA",
    "mutual_knn": "mutual nearest neighbours",
    "procrustes": "orthogonal Procrustes",
    "svcca": "SVCCA",
}
LEAST_COLOUR_RANGE = 0.05  # stretching a narrower range over all colours would show noise as structure

Cell = tuple[int, int]


@dataclass(frozen=True)
class Annotations:
    """Cells `(s, t)` to mark.

    `noise`: values at or below the noise floor. `best`: the largest value of each informative row.
    `assigned`: the one-to-one assignment with the largest sum. A flat similarity has neither of the
    latter two: they would be chance.
    """

    noise: frozenset[Cell]
    best: frozenset[Cell]
    assigned: frozenset[Cell]


def annotate(similarity: Similarity) -> Annotations:
    """The cells of a similarity to mark."""
    noise = {
        (s, t)
        for s, row in enumerate(similarity.values)
        for t, value in enumerate(row)
        if value <= similarity.noise_floor
    }
    best = {(s, row.index(max(row))) for s, row in enumerate(similarity.values) if is_informative(similarity, s)}
    return Annotations(
        frozenset(noise), frozenset(best), frozenset() if similarity.is_flat else _assignment(similarity)
    )


def is_informative(similarity: Similarity, s: int) -> bool:
    """Whether the values of student layer `s` differ by more than chance."""
    return any(similarity.z()[s])


def colour_range(*similarities: Similarity) -> tuple[float, float]:
    """The values at the two ends of the colours: the smallest and the largest, widened to what chance would span."""
    values = [value for similarity in similarities for row in similarity.values for value in row]
    errors = [median(flat(x.standard_errors)) for x in similarities if x.standard_errors]
    least = max(LEAST_COLOUR_RANGE, *(x.spread_floor for x in similarities), *(4 * error for error in errors))
    low, high = min(values), max(values)
    spare = max(0.0, least - (high - low)) / 2
    return low - spare, high + spare


def rounded(value: float, form: str = ".2f") -> str:
    """A value with two digits, never `-0.00`."""
    return f"{round(value, 2) + 0.0:{form}}"


def flat(matrix: Sequence[Sequence[float]]) -> list[float]:
    """All numbers of a matrix, row by row."""
    return [value for row in matrix for value in row]


def _assignment(similarity: Similarity) -> frozenset[Cell]:
    from mapsearch.proposers.assignment import best_assignment  # scipy is slow to import

    students, teachers = similarity.student_layers, similarity.teacher_layers
    legal = [[True] * len(teachers) for _ in students]
    mapping = best_assignment([list(row) for row in similarity.values], legal, students, teachers)
    return frozenset((students.index(pair.student), teachers.index(pair.teacher)) for pair in mapping.pairs)
