"""The terms of a run's loss over its training, one line for each."""

from collections.abc import Sequence
from dataclasses import dataclass

from mapsearch.core.runs import Run
from mapsearch.report.html.scales import Scale

LEFT, RIGHT, TOP, BOTTOM = 10.0, 97.0, 6.0, 86.0
MOST_LINES = 5
"""Lines that differ in dashes as well as in colour: the terms that are largest at first."""

LEAST_PART = 1e-4
"""A value below this part of the largest is drawn at it: a logarithm has no zero."""


@dataclass(frozen=True)
class TermLine:
    """One term: its line as `x,y` in per cent, and its first and last value."""

    term: str
    line: str
    first: float
    last: float


@dataclass(frozen=True)
class TermCurves:
    """The terms of the run of a seed, on a logarithmic scale; `n_terms` is how many there are."""

    lines: tuple[TermLine, ...]
    seed: int
    n_terms: int
    x_ticks: tuple[tuple[float, float], ...]
    y_ticks: tuple[tuple[float, float], ...]


def term_curves(runs: Sequence[Run]) -> TermCurves | None:
    """The terms of the first of the longest runs; None where they were not recorded, or are all zero."""
    recorded = [run for run in runs if run.result is not None and len(run.result.term_curve) > 1]
    run = max(recorded, key=lambda run: run.n_steps, default=None)
    if run is None or run.result is None:
        return None
    points = [point for point in run.result.term_curve if all(value is not None for value in point[1])]
    values = [value for _, row in points for value in row if value > 0]
    if len(points) < 2 or not values:
        return None
    low, high = max(min(values), LEAST_PART * max(values)), max(values)
    x, y = Scale(0, run.n_steps, LEFT, RIGHT), Scale(low, high if high > low else 2 * low, BOTTOM, TOP, True)
    columns = zip(run.result.terms, zip(*(row for _, row in points), strict=True), strict=True)
    lines = [
        TermLine(
            term,
            " ".join(f"{x(step)},{y(max(low, value))}" for (step, _), value in zip(points, column, strict=True)),
            column[0],
            column[-1],
        )
        for term, column in columns
    ]
    largest = sorted(lines, key=lambda line: -line.first)[:MOST_LINES]
    ticks = [tuple((tick, scale(tick)) for tick in scale.ticks(5)) for scale in (x, y)]
    return TermCurves(tuple(largest), run.seed, len(lines), ticks[0], ticks[1])
