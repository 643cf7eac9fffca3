"""The figure of a similarity, as large as its cells; title, names and colour bar lie outside it and come into the
picture when `pictures` saves it with a tight frame. Sizes are in inches."""

from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from mapsearch.core.similarity import Similarity
from mapsearch.report.annotations import MEASURE_TITLES, annotate, colour_range
from mapsearch.report.cells import draw_matrix, label_layers
from mapsearch.report.margins import draw_floor_bar, legend, write_caption
from mapsearch.report.similarity import similarity_details, similarity_sentence

WIDEST_MATRIX = 9.6  # the cells alone
CELL_RANGE = (0.2, 0.6)  # smallest and largest side of a cell
LEAST_CAPTION_WIDTH = 6.0  # of the small print, however narrow the matrix


def draw_similarity(similarity: Similarity) -> Figure:
    """One heat map with title, annotations and a colour bar that shows the noise floor."""
    S, T = len(similarity.student_layers), len(similarity.teacher_layers)
    cell, annotations, norm = cell_size(max(S, T)), annotate(similarity), Normalize(*colour_range(similarity))
    figure = Figure(figsize=(T * cell, S * cell))
    axes = figure.add_axes((0, 0, 1, 1))
    draw_matrix(axes, similarity, annotations, norm, cell)
    label_layers(axes, similarity, cell)
    draw_floor_bar(axes, norm, similarity.noise_floor)
    title = "cannot rank layers here" if similarity.is_flat else "of student and teacher layers"
    lines = similarity_details(similarity)
    if similarity.is_flat:
        lines = [similarity_sentence(similarity), *lines]
    write_caption(
        axes,
        f"{MEASURE_TITLES[similarity.measure]} {title}",
        lines,
        legend(annotations),
        max(T * cell + 1, LEAST_CAPTION_WIDTH),
    )
    return figure


def cell_size(n_layers: int) -> float:
    """The side of a cell, such that `n_layers` of them fit into the widest matrix."""
    return min(max(WIDEST_MATRIX / n_layers, CELL_RANGE[0]), CELL_RANGE[1])
