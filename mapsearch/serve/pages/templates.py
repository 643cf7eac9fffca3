"""The Jinja environment of the pages: that of the report, whose charts and cards they share, with templates of its own.

Everything is escaped, and a name that is missing is an error.
"""

from typing import Any

from jinja2 import ChoiceLoader, PackageLoader
from starlette.requests import Request
from starlette.responses import HTMLResponse

from mapsearch.report.html.rendering import environment

ENVIRONMENT = environment().overlay(
    loader=ChoiceLoader([PackageLoader("mapsearch.serve.pages"), PackageLoader("mapsearch.report.html")])
)


def render(request: Request, template: str, status: int = 200, **values: Any) -> HTMLResponse:
    """The page of a template in `templates/`, which knows `request` and the values."""
    return HTMLResponse(ENVIRONMENT.get_template(template).render(request=request, **values), status)
