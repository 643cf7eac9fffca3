"""Similarities, comparisons and trainings as PNG or SVG files; the same picture gives the same bytes."""

from contextlib import AbstractContextManager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mapsearch.core.comparison import Comparison
from mapsearch.core.errors import MapsearchError
from mapsearch.core.similarity import Similarity
from mapsearch.core.trained import TrainReport

FORMATS = ("png", "svg")
_STYLE = {
    "svg.fonttype": "none",  # text stays text: it can be searched, copied and read aloud
    "svg.hashsalt": "mapsearch",
    "hatch.linewidth": 0.5,
    "text.parse_math": False,  # a layer may have a `$` in its name
}


def plot_similarity(similarity: Similarity, path: Path | str) -> None:
    """Draw a similarity as a heat map into a PNG or SVG file, depending on the path's suffix.

    Raises:
        MapsearchError: another suffix, matplotlib is not installed, or the file cannot be written.
    """
    with _style(path):
        from mapsearch.report.heat_map import draw_similarity

        _save(draw_similarity(similarity), Path(path))


def plot_comparison(comparison: Comparison, path: Path | str) -> None:
    """Draw both similarities and their difference into a PNG or SVG file, depending on the path's suffix.

    Raises:
        MapsearchError: another suffix, matplotlib is not installed, or the file cannot be written.
    """
    with _style(path):
        from mapsearch.report.difference_map import draw_comparison

        _save(draw_comparison(comparison), Path(path))


def plot_training(report: TrainReport, path: Path | str) -> None:
    """Draw the loss and the metric of a final training into a PNG or SVG file, depending on the path's suffix.

    Raises:
        MapsearchError: another suffix, matplotlib is not installed, or the file cannot be written.
    """
    with _style(path):
        from mapsearch.report.training_curves import draw_training

        _save(draw_training(report), Path(path))


def require_picture_path(path: Path | str) -> None:
    """Make sure, before anything slow begins, that a picture can be written there.

    Raises:
        MapsearchError: another suffix, the folder does not exist, or matplotlib is not installed.
    """
    path = Path(path)
    if _kind(path) not in FORMATS:
        raise MapsearchError(f"a picture must end with .png or .svg, but got `{path}`")
    if not path.parent.is_dir():
        raise MapsearchError(f"{path}: cannot be written: the folder does not exist; create it or choose another file")
    if find_spec("matplotlib") is None:
        raise MapsearchError(f"{path}: `matplotlib` is not installed; `pip install 'mapsearch[plots]'`")


def _kind(path: Path) -> str:
    return path.suffix.lower().removeprefix(".")


def _style(path: Path | str) -> AbstractContextManager[None]:
    """The style of our pictures, whatever the user has configured."""
    require_picture_path(path)
    from matplotlib import style  # an extra, and slow to import

    return style.context(["default", _STYLE])


def _save(figure: Any, path: Path) -> None:
    metadata = {"Date": None} if _kind(path) == "svg" else {}
    try:
        figure.savefig(path, format=_kind(path), dpi=200, bbox_inches="tight", pad_inches=0.15, metadata=metadata)
    except OSError as error:
        raise MapsearchError(f"{path}: cannot be written: {error.strerror}; choose another file") from None
