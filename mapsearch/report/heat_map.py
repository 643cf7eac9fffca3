"""The figure of a similarity. It is as large as its cells: what stands around them lies outside, and the tight frame
of `pictures` takes it in. Sizes are in inches."""

from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from mapsearch.core.similarity import Similarity
from mapsearch.report.annotations import MEASURES, annotate, colour_range
from mapsearch.report.cells import draw_matrix, label_layers
from mapsearch.report.margins import draw_floor_bar, legend, write_caption
from mapsearch.report.similarity import similarity_details, similarity_sentence

WIDEST = 9.6  # of the cells alone
CELL = (0.2, 0.6)  # the side of a cell, at least and at most
LEAST_TEXT = 6.0  # the width of the small print above even the narrowest matrix


def draw_similarity(similarity: Similarity) -> Figure:
    """One heat map with title, marks and a colour bar that shows the noise floor."""
    S, T = len(similarity.student_layers), len(similarity.teacher_layers)
    cell, found, norm = cell_size(max(S, T)), annotate(similarity), Normalize(*colour_range(similarity))
    figure = Figure(figsize=(T * cell, S * cell))
    axes = figure.add_axes((0, 0, 1, 1))
    draw_matrix(axes, similarity, found, norm, cell)
    label_layers(axes, similarity, cell)
    draw_floor_bar(axes, norm, similarity.noise_floor)
    title = "cannot rank layers here" if similarity.is_flat else "of student and teacher layers"
    lines = [*([similarity_sentence(similarity)] * similarity.is_flat), *similarity_details(similarity)]
    write_caption(axes, f"{MEASURES[similarity.measure]} {title}", lines, legend(found), max(T * cell + 1, LEAST_TEXT))
    return figure


def cell_size(n_layers: int) -> float:
    """The side of a cell, so that as many fit beside each other as must."""
    return min(max(WIDEST / n_layers, CELL[0]), CELL[1])
