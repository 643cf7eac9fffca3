"""The cells of a heat map in matplotlib: colours, noise, annotations, numbers, names. Sizes are in inches."""

from collections.abc import Iterable, Sequence

from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.collections import PatchCollection
from matplotlib.colors import Normalize
from matplotlib.patches import Rectangle
from matplotlib.patheffects import Normal, Stroke

from mapsearch.core.similarity import Similarity
from mapsearch.report.annotations import Annotations, Cell, rounded
from mapsearch.report.layer_names import shorten

LEAST_NUMBERED_CELL = 0.34  # the smallest cell that holds `-0.12`
NOISE_COLOUR, HATCH_COLOUR = "#e4e4e4", "#9a9a9a"
NAME_FONT_SIZE = 7.5
LETTER_WIDTH = 0.075  # at that font size


def draw_matrix(axes: Axes, similarity: Similarity, annotations: Annotations, norm: Normalize, cell: float) -> None:
    """The values of a similarity in viridis; noise hatched, the assignment in boxes, best teachers dotted."""
    draw_cells(axes, similarity.values, norm, "viridis", cell, annotations.noise)
    draw_boxes(axes, annotations.assigned, "assignment")
    x, y = (0.82, 0.18) if cell >= LEAST_NUMBERED_CELL else (0.5, 0.5)  # beside the number where there is one
    dots = sorted(annotations.best)
    axes.scatter(
        [t + x for _, t in dots], [s + y for s, _ in dots], s=13, color="white", edgecolors="black", linewidths=0.7,
        zorder=4, gid="best",
    )  # fmt: skip


def draw_cells(
    axes: Axes,
    values: Sequence[Sequence[float]],
    norm: Normalize,
    colours: str,
    cell: float,
    hatched: Iterable[Cell],
    form: str = ".2f",
) -> None:
    """Squares `[S, T]`, first row on top; hatched ones are grey, numbers are written where they are legible."""
    S, T, hatched = len(values), len(values[0]), frozenset(hatched)
    axes.set(xlim=(0, T), ylim=(S, 0))
    axes.pcolormesh(values, cmap=colours, norm=norm)
    grey = [Rectangle((t, s), 1, 1) for s, t in sorted(hatched)]
    axes.add_collection(
        PatchCollection(
            grey, facecolor=NOISE_COLOUR, edgecolor=HATCH_COLOUR, hatch="////", linewidth=0, gid="noise", zorder=2
        )
    )
    axes.hlines(range(S + 1), 0, T, color="white", linewidth=0.6, zorder=2.5)
    axes.vlines(range(T + 1), 0, S, color="white", linewidth=0.6, zorder=2.5)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    if cell >= LEAST_NUMBERED_CELL:
        _write_numbers(axes, values, norm, colours, hatched, form)


def draw_boxes(axes: Axes, cells: Iterable[Cell], name: str) -> None:
    """Outlines, black on white so that they show on every colour; `name` is their id in an SVG."""
    boxes = [Rectangle((t, s), 1, 1) for s, t in sorted(cells)]
    outline = PatchCollection(boxes, facecolor="none", edgecolor="black", linewidth=1.6, gid=name, zorder=3)
    outline.set_path_effects([Stroke(linewidth=3.4, foreground="white"), Normal()])
    outline.set_clip_on(False)  # half of an outline at the edge lies outside
    axes.add_collection(outline)


def label_layers(
    axes: Axes, similarity: Similarity, cell: float, *, student: bool = True, teacher: bool = True
) -> None:
    """Short names beside the cells; the pattern they share is part of the axis title."""
    (s_pattern, s_names), (t_pattern, t_names) = map(shorten, (similarity.student_layers, similarity.teacher_layers))
    axes.set(xticks=[], yticks=[])
    if student:
        axes.set_yticks([s + 0.5 for s in range(len(s_names))], s_names, fontsize=NAME_FONT_SIZE)
        axes.set_ylabel("student layer" + (f"\n{s_pattern}" if s_pattern != "*" else ""), fontsize=8.5)
    if teacher:
        turn = 90 if max(map(len, t_names)) * LETTER_WIDTH > cell else 0
        axes.set_xticks([t + 0.5 for t in range(len(t_names))], t_names, fontsize=NAME_FONT_SIZE, rotation=turn)
        axes.set_xlabel("teacher layer" + (f"  {t_pattern}" if t_pattern != "*" else ""), fontsize=8.5, loc="left")


def _write_numbers(
    axes: Axes,
    values: Sequence[Sequence[float]],
    norm: Normalize,
    colours: str,
    hatched: frozenset[Cell],
    form: str,
) -> None:
    for s, row in enumerate(values):
        for t, value in enumerate(row):
            red, green, blue, _ = colormaps[colours](float(norm(value)))
            dark = 0.3 * red + 0.59 * green + 0.11 * blue < 0.5
            colour = "#666666" if (s, t) in hatched else "white" if dark else "black"
            text = rounded(value, form)
            axes.text(t + 0.5, s + 0.54, text, ha="center", va="center", fontsize=7, color=colour, zorder=5)
