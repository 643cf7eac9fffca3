"""The templates, and a study's report made with them."""

import re
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from mapsearch import __version__
from mapsearch.core.details import StudyDetails
from mapsearch.core.importances import Importances
from mapsearch.core.text import printable
from mapsearch.report.html.forest import GLYPHS
from mapsearch.report.html.numbers import duration, minus, multiple, percent
from mapsearch.report.html.study_page import study_page

_CODE = re.compile(r"`([^`]+)`")


def study_report(details: StudyDetails, written_at: str, importances: Importances | None = None) -> str:
    """A study as one self-contained HTML page, which requests nothing and runs no script.

    Args:
        written_at: when, as the page tells it.
        importances: which settings mattered, where that is known.
    """
    template = environment().get_template("report.html")
    return template.render(
        page=study_page(details), style=Markup(stylesheet()), written_at=written_at,
        importances=importances.labelled if importances else (),
    )  # fmt: skip


@cache
def environment() -> Environment:
    """The templates: everything that is inserted is escaped and, if it is text, made printable."""
    made = Environment(
        loader=PackageLoader("mapsearch.report.html"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True, finalize=_shown,
    )  # fmt: skip
    made.filters |= {"multiple": multiple, "percent": percent, "duration": duration, "code": _with_code}
    made.globals |= {
        "GLYPHS": GLYPHS,
        "version": __version__,
        "short_multiple": lambda ratio: f"{ratio:g}\N{MULTIPLICATION SIGN}",
        "short_number": lambda value: minus(f"{value:.3g}"),
        "whole": lambda value: minus(f"{value:.0f}"),
    }
    return made


def stylesheet() -> str:
    """The one stylesheet of report and pages."""
    return (files("mapsearch.report.html") / "static" / "style.css").read_text(encoding="utf-8")


def _shown(value: Any) -> Any:
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _with_code(text: str) -> Markup:
    """The text with what stands between back quotes as code."""
    return Markup(_CODE.sub(r"<code>\1</code>", str(escape(printable(text)))))
