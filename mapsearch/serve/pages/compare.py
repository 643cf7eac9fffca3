"""Two studies side by side."""

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse

from mapsearch.api import queries
from mapsearch.core.errors import NoDatabase
from mapsearch.serve.pages.templates import render

router = APIRouter()


@router.get("/compare")
def compare(request: Request, one: str = "", other: str = "") -> HTMLResponse:
    """Choose two studies; both chosen, what they have in common and what not."""
    storage = request.app.state.settings.storage
    try:
        names = [study.name for study in queries.list_studies(storage)]
    except NoDatabase:
        names = []
    comparison = None
    if one and other:
        comparison = queries.compare_studies(one, other, storage)
    preset = other or next((name for name in names if name != one), "")
    return render(request, "compare.html", names=names, one=one, other=preset, comparison=comparison)
