"""The figure of a final training: its loss, and below it the metric on the validation data."""

from matplotlib.figure import Figure

from mapsearch.core.text import printable
from mapsearch.core.trained import TrainReport

SIZE = (7.0, 5.0)  # inches


def draw_training(report: TrainReport) -> Figure:
    """Loss and metric over the steps; the kept step is marked."""
    figure = Figure(figsize=SIZE)
    loss, metric = figure.subplots(2, 1, sharex=True)
    loss.plot(*zip(*report.curve, strict=True), linewidth=1)
    loss.set_ylabel("loss")
    rows = [(row.step, value) for row in report.validations if (value := row.metrics[report.metric]) is not None]
    metric.plot(*zip(*rows, strict=True), marker="o", markersize=3, linewidth=1)
    metric.axvline(report.kept_step, linestyle=":", linewidth=1, color="0.4")
    metric.set_ylabel(f"{printable(report.metric)}, validation")
    metric.set_xlabel(f"step (dotted: the weights that are kept, {report.kept_step})")
    loss.set_title(printable(f"{report.training['study']}, trial {report.training['trial']}"))
    return figure
