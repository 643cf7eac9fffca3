"""A study as one HTML file; nothing here imports torch."""

from datetime import UTC, datetime
from pathlib import Path

from mapsearch.api.importances import importances
from mapsearch.api.queries import details
from mapsearch.core.errors import MapsearchError
from mapsearch.core.importances import Importances
from mapsearch.core.studies import DEFAULT_STORAGE
from mapsearch.report.html.rendering import study_report
from mapsearch.report.html.study_page import SHOWN_TRIALS

SUFFIXES = (".html", ".htm")


def report_html(name: str, storage: str = DEFAULT_STORAGE) -> str:
    """A study as one self-contained HTML page.

    Raises:
        StudyNotFound: no study of that name; close matches are named.
        StoreError: there is no study database, or another version of mapsearch stored the study.
    """
    written_at = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
    return study_report(details(name, storage, SHOWN_TRIALS), written_at, _importances(name, storage))


def write_report(name: str, path: Path | str, *, storage: str = DEFAULT_STORAGE) -> str:
    """Write a study as one self-contained HTML page, and say in one line where; an older page there is replaced.

    Raises:
        StudyNotFound: no study of that name; close matches are named.
        StoreError: there is no study database, or another version of mapsearch stored the study.
        MapsearchError: the path is not one of an HTML file, or cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise MapsearchError(f"a report must end with .html, but got `{path}`")
    page = report_html(name, storage)
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise MapsearchError(f"{path}: cannot be written: {error.strerror}; choose another file") from None
    return f"report of {name} written to {path}, {len(page.encode()) / 1024:.0f} KiB; open it in a browser"


def _importances(name: str, storage: str) -> Importances | None:
    try:
        return importances(name, storage)
    except ImportError:  # scikit-learn, which Optuna's evaluator needs, is an extra
        return None
