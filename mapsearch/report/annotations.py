"""What every picture of a similarity points out, on paper or in a terminal: noise, best teachers, assignment, range."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from mapsearch.core.similarity import Similarity

MEASURES = {
    "cka": "linear CKA",
    "rbf_cka": "RBF CKA",
    "distance_correlation": "distance correlation",
    "rsa": "RSA",
    "mutual_knn": "mutual nearest neighbours",
    "procrustes": "orthogonal Procrustes",
    "svcca": "SVCCA",
}
LEAST_RANGE = 0.05  # a narrower map is not stretched over all colours, for that would show noise as structure

Cell = tuple[int, int]


@dataclass(frozen=True)
class Annotations:
    """Cells `(s, t)`: noise, no value of which exceeds the floor; the best of each row that tells its cells apart; the
    one-to-one assignment with the largest sum.

    A flat similarity has neither best teachers nor an assignment: they would be chance.
    """

    noise: frozenset[Cell]
    best: frozenset[Cell]
    assigned: frozenset[Cell]


def annotate(similarity: Similarity) -> Annotations:
    """What to point out in a similarity; the assignment is the one-to-one mapping with the largest sum."""
    noise = {
        (s, t)
        for s, row in enumerate(similarity.values)
        for t, value in enumerate(row)
        if value <= similarity.noise_floor
    }
    best = {(s, row.index(max(row))) for s, row in enumerate(similarity.values) if tells(similarity, s)}
    return Annotations(
        frozenset(noise), frozenset(best), frozenset() if similarity.is_flat else _assignment(similarity)
    )


def tells(similarity: Similarity, s: int) -> bool:
    """Whether a student layer tells the teacher layers apart by more than chance."""
    return any(similarity.z()[s])


def colour_range(*similarities: Similarity) -> tuple[float, float]:
    """The values between which colours run: from the smallest to the largest, but never less than chance spreads."""
    values = [value for similarity in similarities for row in similarity.values for value in row]
    errors = [median(flat(x.standard_errors)) for x in similarities if x.standard_errors]
    least = max(LEAST_RANGE, *(x.spread_floor for x in similarities), *(4 * error for error in errors))
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
