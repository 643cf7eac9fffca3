"""Quick pictures for a notebook, drawn into the current figure or into axes that are given."""

from collections.abc import Sequence
from typing import Any, NamedTuple


class Interval(NamedTuple):
    """A mean with the ends of its interval, if it has one."""

    name: str
    mean: float
    low: float | None = None
    high: float | None = None


def draw_matrix(
    values: Sequence[Sequence[float]], rows: Sequence[str], columns: Sequence[str], title: str, axes: Any = None
) -> Any:
    """A matrix `[S, T]` in colours fixed from 0 to 1, and the axes it is drawn into.

    Raises:
        ImportError: matplotlib is not installed.
    """
    axes = _axes(axes, 1.5 + 0.5 * len(columns), 1.2 + 0.4 * len(rows))
    image = axes.imshow(values, vmin=0, vmax=1, cmap="viridis", aspect="auto")
    axes.set_xticks(range(len(columns)), columns, rotation=90)
    axes.set_yticks(range(len(rows)), rows)
    axes.set_title(title, parse_math=False)
    axes.figure.colorbar(image, ax=axes)
    return axes


def draw_intervals(rows: Sequence[Interval], title: str, margin: float | None, axes: Any = None) -> Any:
    """Differences with their intervals around zero, the first on top, and the axes they are drawn into.

    Raises:
        ImportError: matplotlib is not installed.
    """
    axes = _axes(axes, 6, 1.2 + 0.4 * len(rows))
    if margin is not None:
        axes.axvspan(-margin, margin, color="0.5", alpha=0.2)
    axes.axvline(0, color="0.5")
    for y, row in enumerate(rows):
        if row.low is not None and row.high is not None:
            axes.plot([row.low, row.high], [y, y], color="#0072b2")
        axes.plot([row.mean], [y], "o", color="#0072b2")
    axes.set_yticks(range(len(rows)), [row.name for row in rows])
    axes.invert_yaxis()
    axes.set_title(title, parse_math=False)
    return axes


def draw_bars(rows: Sequence[tuple[str, float]], title: str, axes: Any = None) -> Any:
    """Parts of a whole as bars from 0 to 1, the first on top, and the axes they are drawn into.

    Raises:
        ImportError: matplotlib is not installed.
    """
    axes = _axes(axes, 6, 1.2 + 0.4 * len(rows))
    axes.barh(range(len(rows)), [part for _, part in rows], color="#0072b2")
    axes.set_xlim(0, 1)
    axes.set_yticks(range(len(rows)), [name for name, _ in rows])
    axes.invert_yaxis()
    axes.set_title(title, parse_math=False)
    return axes


def _axes(axes: Any, width: float, height: float) -> Any:
    if axes is not None:
        return axes
    try:
        from matplotlib import pyplot
    except ImportError:
        raise ImportError("`matplotlib` is not installed; `pip install 'mapsearch[plots]'`") from None
    return pyplot.subplots(figsize=(width, height), layout="constrained")[1]
