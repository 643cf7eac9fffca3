"""The search history: what each trial came to, in order, and the best so far."""

from collections.abc import Sequence
from dataclasses import dataclass

from mapsearch.core.details import TrialValue
from mapsearch.core.trials import PROPOSALS
from mapsearch.report.html.scales import Scale

LEFT, RIGHT, TOP, BOTTOM = 10.0, 97.0, 6.0, 86.0
MOST_POINTS = 400
"""Of a longer history every n-th trial is drawn, and those that were the best so far, thinned likewise."""


@dataclass(frozen=True)
class HistoryPoint:
    """A trial with a value; `kind` is `control` or `searched`, `best` whether it was the best until then."""

    number: int
    name: str
    kind: str
    value: float
    best: bool
    x: float
    y: float


@dataclass(frozen=True)
class SearchHistory:
    """Points in order and the line of the best so far, as `x,y` in per cent; `n_thinned` trials are not drawn."""

    points: tuple[HistoryPoint, ...]
    line: str
    x_ticks: tuple[tuple[float, float], ...]
    y_ticks: tuple[tuple[float, float], ...]
    n_thinned: int


def search_history(history: Sequence[TrialValue], direction: str) -> SearchHistory | None:
    """The history of controls and proposals at the first rung; None where fewer than two have a value."""
    told = [t for t in history if t.value is not None and (t.proposer in PROPOSALS or t.proposer == "control")]
    values = [t.value for t in told if t.value is not None]
    if len(values) < 2:
        return None
    sign = 1.0 if direction == "maximize" else -1.0
    spare = 0.06 * (max(values) - min(values)) or abs(values[0]) / 100 or 1.0
    x = Scale(told[0].number, told[-1].number, LEFT, RIGHT)
    top, bottom = max(sign * v for v in values) + spare, min(sign * v for v in values) - spare
    y = Scale(top, bottom, TOP, BOTTOM)
    records, best = set[int](), None
    for trial, value in zip(told, values, strict=True):
        if best is None or sign * value > best:
            best = sign * value
            records.add(trial.number)
    bests = sorted(records)
    records = {*bests[:: -(-len(bests) // MOST_POINTS)], bests[-1]}
    step = -(-len(told) // MOST_POINTS)
    points = tuple(
        HistoryPoint(
            t.number,
            t.control or f"trial {t.number}",
            "control" if t.control else "searched",
            value,
            t.number in records,
            x(t.number),
            y(sign * value),
        )
        for i, (t, value) in enumerate(zip(told, values, strict=True))
        if i % step == 0 or t.number in records
    )
    ticks = sorted(sign * tick for tick in Scale(bottom, top).ticks(4))
    return SearchHistory(
        points,
        _steps(points),
        tuple((tick, x(tick)) for tick in x.ticks(6)),
        tuple((tick, y(sign * tick)) for tick in ticks),
        len(told) - len(points),
    )


def _steps(points: Sequence[HistoryPoint]) -> str:
    """The best so far as steps: level until a better one comes."""
    corners, y = list[str](), None
    for point in (p for p in points if p.best):
        if y is not None:
            corners.append(f"{point.x},{y}")
        y = point.y
        corners.append(f"{point.x},{y}")
    return " ".join([*corners, f"{RIGHT},{y}"])
