"""The loss of a trial's runs over their training, one line for each seed."""

from collections.abc import Sequence
from dataclasses import dataclass

from mapsearch.core.runs import Run
from mapsearch.report.html.scales import Scale

LEFT, RIGHT, TOP, BOTTOM = 10.0, 97.0, 6.0, 86.0
MOST_LINES = 5
"""Lines that differ in dashes as well as in colour."""

WIDE_RANGE = 20.0
"""From this ratio of largest to smallest on, the scale is logarithmic."""


@dataclass(frozen=True)
class Curve:
    """One run: its line as `x,y` in per cent, and its first and last loss."""

    seed: int
    line: str
    first: float
    last: float


@dataclass(frozen=True)
class LossCurves:
    """Runs of the longest schedule, the first few seeds; `n_runs` is how many of them there are."""

    curves: tuple[Curve, ...]
    n_runs: int
    n_steps: int
    logarithmic: bool
    x_ticks: tuple[tuple[float, float], ...]
    y_ticks: tuple[tuple[float, float], ...]


def loss_curves(runs: Sequence[Run]) -> LossCurves | None:
    """The curves of the longest runs; None where nothing was recorded."""
    recorded = [run for run in runs if run.result is not None and len(_finite(run)) > 1]
    longest = [run for run in recorded if run.n_steps == max(other.n_steps for other in recorded)]
    if not longest:
        return None
    shown = longest[:MOST_LINES]
    losses = [loss for run in shown for _, loss in _finite(run)]
    low, high = min(losses), max(losses)
    logarithmic = low > 0 and high > WIDE_RANGE * low
    y = Scale(low, high if high > low else low + 1.0, BOTTOM, TOP, logarithmic)
    x = Scale(0, longest[0].n_steps, LEFT, RIGHT)
    curves = tuple(
        Curve(run.seed, " ".join(f"{x(step)},{y(loss)}" for step, loss in points), points[0][1], points[-1][1])
        for run, points in ((run, _finite(run)) for run in shown)
    )
    ticks = [tuple((tick, scale(tick)) for tick in scale.ticks(5)) for scale in (x, y)]
    return LossCurves(curves, len(longest), longest[0].n_steps, logarithmic, ticks[0], ticks[1])


def _finite(run: Run) -> list[tuple[int, float]]:
    """What was recorded, without losses that were not finite, which are stored as None."""
    assert run.result is not None
    return [(step, loss) for step, loss in run.result.curve if loss is not None]
