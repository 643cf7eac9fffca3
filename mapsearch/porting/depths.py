"""A mapping between networks of other depths: every layer stands at its relative depth."""

from collections.abc import Sequence

from mapsearch.core.mapping import LayerMapping
from mapsearch.core.space import RecipeSpace


def at_new_depths(mapping: LayerMapping, old: RecipeSpace, new: RecipeSpace) -> list[list[float]]:
    """Weights `W[S, T]` between the layers of the new networks.

    The n-th of N layers stands at depth `n / N`, so that the last meets the last. The centres of the taught rows,
    their mean teacher depths, are joined by straight lines over the student's depth, and prolonged; a new student layer
    takes the row of the old one nearest to its depth, weights and spread, around the centre that the line has there. A
    row that is off stays off. Between networks of equal depths nothing changes.
    """
    rows = mapping.matrix(old.student_layers, old.teacher_layers)
    taught = [s for s, row in enumerate(rows) if any(row)]
    n_teacher = len(new.teacher)
    weights = [[0.0] * n_teacher for _ in new.student]
    for s, new_row in enumerate(weights):
        depth = _depth(s, len(weights))
        nearest = min(range(len(rows)), key=lambda i, depth=depth: abs(_depth(i, len(rows)) - depth))  # type: ignore[misc]
        if nearest not in taught:
            continue
        shift = _line(depth, [(_depth(i, len(rows)), _centre(rows[i])) for i in taught]) - _centre(rows[nearest])
        for t, weight in enumerate(rows[nearest]):
            if weight:
                at = round((_depth(t, len(rows[nearest])) + shift) * n_teacher) - 1
                new_row[min(n_teacher - 1, max(0, at))] += weight
    return weights


def _depth(index: int, n: int) -> float:
    return (index + 1) / n


def _centre(row: Sequence[float]) -> float:
    """The mean depth of the row's teacher layers, by weight."""
    return sum(weight * _depth(t, len(row)) for t, weight in enumerate(row)) / sum(row)


def _line(x: float, points: Sequence[tuple[float, float]]) -> float:
    """The height at `x` of the straight lines through the points, in order of their first coordinate."""
    if len(points) == 1:
        return points[0][1] + x - points[0][0]  # as steep as an evenly spaced mapping
    after = next((i for i, point in enumerate(points) if point[0] >= x and i > 0), len(points) - 1)
    (x0, y0), (x1, y1) = points[after - 1 : after + 1]
    return y0 + (y1 - y0) * (x - x0) / (x1 - x0)
