"""What surrounds the cells of a heat map: title, small print, legend, colour bars. Sizes are in inches."""

from collections.abc import Sequence
from textwrap import wrap
from typing import Any

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import offset_copy

from mapsearch.core.text import printable
from mapsearch.report.annotations import Annotations
from mapsearch.report.cells import HATCH_COLOUR, NAME_FONT_SIZE, NOISE_COLOUR

TITLE_FONT: dict[str, Any] = {"fontsize": 11, "fontweight": "bold"}
SMALL_FONT: dict[str, Any] = {"fontsize": 7.5, "color": "#444444", "linespacing": 1.25}
PANEL_FONT: dict[str, Any] = {"fontsize": 8.5, "fontweight": "bold"}
LEAST_BAR_HEIGHT = 1.0  # the height that its labels need
LETTERS_PER_INCH = 17  # of the small print
LINE_POINTS = 10.5  # from one line of it to the next


def write_caption(
    axes: Axes, title: str, lines: Sequence[str], handles: Sequence[Artist], width: float, lift: float = 0.0
) -> None:
    """From the top: a title, small print wrapped to the width, the legend; `lift` points above the cells."""
    place = offset_copy(axes.transAxes, fig=axes.get_figure(root=True), y=lift + 7, units="points")
    axes.legend(
        handles=handles, loc="lower left", bbox_to_anchor=(0, 1), bbox_transform=place, ncols=max(1, len(handles)),
        fontsize=7.5, frameon=False, borderaxespad=0, borderpad=0, handlelength=1.1, handleheight=1.1,
        handletextpad=0.5, columnspacing=1.4,
    )  # fmt: skip
    small = [part for line in lines for part in wrap(printable(line), int(width * LETTERS_PER_INCH))]
    write_above(axes, "\n".join(small), lift + 25, SMALL_FONT)
    write_above(axes, title, lift + 28 + LINE_POINTS * len(small), TITLE_FONT)


def write_above(axes: Axes, text: str, lift: float, font: dict[str, Any]) -> None:
    """Text aligned with the first column, `lift` points above the cells."""
    axes.annotate(text, (0, 1), (0, lift), "axes fraction", "offset points", va="bottom", **font)


def legend(annotations: Annotations) -> list[Artist]:
    """What the annotations mean; only those that occur are explained."""
    dot = Line2D([], [], marker="o", color="none", markerfacecolor="white", markeredgecolor="black", markersize=4)
    grey = Patch(facecolor=NOISE_COLOUR, edgecolor=HATCH_COLOUR, hatch="//////", linewidth=0)
    box = Patch(facecolor="none", edgecolor="black", linewidth=1.4)
    entries = [
        (annotations.noise, grey, "at or below the noise floor"),
        (annotations.assigned, box, "best one-to-one assignment"),
        (annotations.best, dot, "best teacher layer of the row"),
    ]
    for _, handle, label in entries:
        handle.set_label(label)
    return [handle for cells, handle, _ in entries if cells]


def draw_floor_bar(axes: Axes, norm: Normalize, floor: float) -> None:
    """The measure's whole range from 0 to 1: coloured where the values lie, grey and hatched up to the noise floor."""
    low, high = min(0.0, norm.vmin or 0.0), max(1.0, norm.vmax or 0.0)
    bar = _bar_axes(axes)
    _draw_ramp(bar, norm, "viridis")
    bar.add_patch(
        Rectangle((0, low), 1, floor - low, facecolor=NOISE_COLOUR, edgecolor=HATCH_COLOUR, hatch="////", linewidth=0)
    )
    bar.axhline(floor, color="black", linewidth=1.6, gid="noise-floor")
    free = 0.07 * (high - low)  # the label of a closer tick would overlap that of the floor
    ticks = [tick for tick in _ticks(low, high) if abs(tick - floor) > free]
    bar.set_yticks([*ticks, floor], [*(f"{tick:.1f}" for tick in ticks), f"{floor:.3f} noise floor"])
    _finish(bar, low, high)


def draw_difference_bar(axes: Axes, norm: Normalize, colours: str) -> None:
    """A scale centred at zero."""
    low, high = norm.vmin or 0.0, norm.vmax or 0.0
    bar = _bar_axes(axes)
    _draw_ramp(bar, norm, colours)
    ticks = _ticks(low, high)
    bar.set_yticks(ticks, [f"{tick:+.2g}" if tick else "0" for tick in ticks])
    _finish(bar, low, high)


def _bar_axes(axes: Axes) -> Axes:
    """Axes for a colour bar right of the cells, tall enough for its labels and at most three inches."""
    _, _, width, height = axes.get_position().bounds
    wide, high = axes.figure.bbox.width / axes.figure.dpi, axes.figure.bbox.height / axes.figure.dpi
    width, height = width * wide, height * high
    tall = min(max(LEAST_BAR_HEIGHT, height), 3.0) / height
    return axes.inset_axes((1 + 0.25 / width, 1 - tall, 0.16 / width, tall))


def _draw_ramp(bar: Axes, norm: Normalize, colours: str) -> None:
    low, high = norm.vmin or 0.0, norm.vmax or 0.0
    steps = [low + (high - low) * i / 128 for i in range(129)]
    bar.pcolormesh([0, 1], steps, [[value] for value in steps[:-1]], cmap=colours, norm=norm)


def _ticks(low: float, high: float) -> list[float]:
    places = MaxNLocator(5, steps=[1, 2, 5, 10]).tick_values(low, high)
    return [round(float(tick), 10) for tick in places if low <= tick <= high]


def _finish(bar: Axes, low: float, high: float) -> None:
    bar.set(ylim=(low, high), xticks=[])
    bar.yaxis.tick_right()
    bar.tick_params(length=2, labelsize=NAME_FONT_SIZE)
