"""The figure of a comparison, in panels: before, after and their difference. Sizes are in inches."""

from math import hypot

from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from mapsearch.core.comparison import Comparison
from mapsearch.report.annotations import (
    LEAST_COLOUR_RANGE,
    MEASURE_TITLES,
    Annotations,
    Cell,
    annotate,
    colour_range,
    flat,
)
from mapsearch.report.cells import draw_boxes, draw_cells, draw_matrix, label_layers
from mapsearch.report.comparison import comparison_lines
from mapsearch.report.heat_map import LEAST_CAPTION_WIDTH, cell_size
from mapsearch.report.margins import (
    LEAST_BAR_HEIGHT,
    PANEL_FONT,
    draw_difference_bar,
    draw_floor_bar,
    legend,
    write_above,
    write_caption,
)

PANEL_GAP_ACROSS, PANEL_GAP_DOWN = 1.5, 0.35  # room for a colour bar and its labels, or for a line of text
DIVERGING_COLOURS = "PuOr_r"  # orange up, purple down: told apart by every kind of colour vision


def draw_comparison(comparison: Comparison) -> Figure:
    """Three panels: stacked when there are at least as many teacher layers as student layers, else side by side."""
    before, after = comparison.before, comparison.after
    stacked = len(before.teacher_layers) >= len(before.student_layers)
    figure, panels, cell = _panels(len(before.student_layers), len(before.teacher_layers), stacked)
    shown = ((before, annotate(before), "before"), (after, annotate(after), "after"))
    for axes, (similarity, annotations, name) in zip(panels, shown, strict=False):
        together = (before, after) if before.measure == after.measure else (similarity,)
        norm = Normalize(*colour_range(*together))
        draw_matrix(axes, similarity, annotations, norm, cell)
        draw_floor_bar(axes, norm, similarity.noise_floor)
        write_above(
            axes, f"{name}: {MEASURE_TITLES[similarity.measure]}, {similarity.n_samples} samples", 5, PANEL_FONT
        )
    _draw_difference(panels[2], comparison, cell)
    for i, axes in enumerate(panels):
        label_layers(axes, before, cell, student=stacked or i == 0, teacher=not stacked or i == 2)
    all_annotations = Annotations(
        *(getattr(shown[0][1], kind) | getattr(shown[1][1], kind) for kind in ("noise", "best", "assigned"))
    )
    width = max(cell * len(before.teacher_layers) * (1 if stacked else 3) + 1, LEAST_CAPTION_WIDTH)
    write_caption(
        panels[0],
        "two similarities of student and teacher layers",
        comparison_lines(comparison),
        legend(all_annotations),
        width,
        lift=22,
    )
    return figure


def _panels(n_students: int, n_teachers: int, stacked: bool) -> tuple[Figure, list[Axes], float]:
    """A figure of the size of its three axes, the axes, and the side of their cells."""
    S, T = n_students, n_teachers
    cell = cell_size(max(T, 3 * S) if stacked else max(S, 3 * T))
    width, height = T * cell, S * cell
    across, down = (0.0, max(height, LEAST_BAR_HEIGHT) + PANEL_GAP_DOWN) if stacked else (width + PANEL_GAP_ACROSS, 0.0)
    wide, high = width + 2 * across, height + 2 * down
    figure = Figure(figsize=(wide, high))
    corners = [(i * across / wide, 1 - (i * down + height) / high) for i in range(3)]
    return figure, [figure.add_axes((x, y, width / wide, height / high)) for x, y in corners], cell


def _draw_difference(axes: Axes, comparison: Comparison, cell: float) -> None:
    """After minus before on a scale centred at zero; changes within the standard errors are grey."""
    most = max(LEAST_COLOUR_RANGE, *map(abs, flat(comparison.difference)))
    norm, hatched = Normalize(-most, most), _within_errors(comparison)
    draw_cells(axes, comparison.difference, norm, DIVERGING_COLOURS, cell, hatched, "+.2f")
    before, largest = comparison.before, comparison.largest
    at = before.student_layers.index(largest.student), before.teacher_layers.index(largest.teacher)
    draw_boxes(axes, [at], "largest-change")
    draw_difference_bar(axes, norm, DIVERGING_COLOURS)
    grey = "; grey: within 1.96 joint standard errors" if hatched else ""
    scales = "" if before.measure == comparison.after.measure else " (different scales, so neither gain nor loss)"
    write_above(axes, f"after - before{scales}; box: largest change{grey}", 5, PANEL_FONT)


def _within_errors(comparison: Comparison) -> list[Cell]:
    """Cells that changed by no more than 1.96 joint standard errors; none where those are unknown."""
    old, new = comparison.before.standard_errors, comparison.after.standard_errors
    if old is None or new is None:
        return []
    return [
        (s, t)
        for s, row in enumerate(comparison.difference)
        for t, change in enumerate(row)
        if abs(change) <= 1.96 * hypot(old[s][t], new[s][t])
    ]
