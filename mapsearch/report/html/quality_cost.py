"""Quality against training cost: which recipes are as good as the best, and which of those is the cheapest."""

from dataclasses import dataclass
from statistics import fmean

from mapsearch.core.summaries import StudyOverview, TrialSummary
from mapsearch.report.html.scales import Scale

LEFT, RIGHT, TOP, BOTTOM = 10.0, 97.0, 6.0, 88.0
"""The edges of the chart's inside, in per cent."""

MARGINS_SHOWN = 5
"""What lies further below the best than so many margins is drawn at the lower edge."""

NAMED_CONTROLS = ("none", "outputs")


@dataclass(frozen=True)
class Point:
    """A confirmed recipe. `kind` is `recommended`, `nominee`, `control` or `searched`; `below` the scale or on it."""

    trial: int
    name: str
    kind: str
    quality: float
    overhead: float
    n_seeds: int
    ties: bool
    x: float
    y: float
    below: bool


@dataclass(frozen=True)
class QualityCost:
    """Points from the best to the worst; the tie band reaches from the best mean one margin down."""

    points: tuple[Point, ...]
    band: tuple[float, float] | None
    x_ticks: tuple[tuple[float, float], ...]
    y_ticks: tuple[tuple[float, float], ...]
    labelled: frozenset[int]


def quality_cost(study: StudyOverview) -> QualityCost | None:
    """The chart of what was confirmed; None where fewer than two recipes were, or nothing was timed."""
    confirmed = [trial for trial in study.trials if trial.confirmed and trial.overhead is not None]
    if len(confirmed) < 2:
        return None
    sign, margin = (1.0 if study.direction == "maximize" else -1.0), study.verdict.margin if study.verdict else None
    ranked = sorted(confirmed, key=lambda trial: (-sign * fmean(trial.confirmed), trial.number))
    means = {trial.number: fmean(trial.confirmed) for trial in ranked}
    best, worst = means[ranked[0].number], means[ranked[-1].number]
    lowest = max(sign * worst, sign * best - MARGINS_SHOWN * margin) if margin else sign * worst
    spare = 0.08 * (sign * best - lowest) or abs(best) / 100 or 1.0
    y = Scale(sign * best + spare, lowest - spare, TOP, BOTTOM)
    costs = [trial.overhead or 0.0 for trial in ranked]
    width = (max(costs) - min(costs)) or 1.0
    x = Scale(min(costs) - 0.06 * width, max(costs) + 0.06 * width, LEFT, RIGHT)
    points = tuple(_point(trial, means[trial.number], best, sign, margin, study, x, y) for trial in ranked)
    ticks = sorted(sign * tick for tick in Scale(lowest - spare, sign * best + spare).ticks(4))
    return QualityCost(
        points,
        (y(sign * best), min(BOTTOM, y(sign * best - margin))) if margin else None,
        tuple((tick, x(tick)) for tick in x.ticks(6)),
        tuple((tick, y(sign * tick)) for tick in ticks),
        _labelled(points),
    )


def _point(
    trial: TrialSummary, quality: float, best: float, sign: float, margin: float | None, study: StudyOverview,
    x: Scale, y: Scale,
) -> Point:  # fmt: skip
    verdict, place = study.verdict, y(sign * quality)
    kind = "control" if trial.control else "searched"
    kind = "nominee" if verdict and trial.number == verdict.nominee else kind
    kind = "recommended" if verdict and trial.number == verdict.recommended else kind
    overhead = trial.overhead or 0.0
    ties = margin is not None and sign * (best - quality) <= margin
    return Point(
        trial.number, trial.control or f"trial {trial.number}", kind, quality, overhead, len(trial.confirmed), ties,
        x(overhead), min(place, BOTTOM), place > BOTTOM,
    )  # fmt: skip


def _labelled(points: tuple[Point, ...]) -> frozenset[int]:
    """Trials whose names are written: those that matter and the costliest; names of all would cover each other."""
    told = [p.trial for p in points if p.kind in ("recommended", "nominee") or p.name in NAMED_CONTROLS]
    return frozenset([*told, max(points, key=lambda p: p.overhead).trial])
