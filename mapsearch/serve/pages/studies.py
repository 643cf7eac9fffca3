"""The first page: every study with its decision, newest first, a page of them at a time."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import HTMLResponse

from mapsearch.api import queries
from mapsearch.core.errors import NoDatabase
from mapsearch.core.summaries import StudyOverview, StudySummary
from mapsearch.report.html.decision import BEFORE_VERDICT, HEADLINES
from mapsearch.report.html.forest import Forest, forest
from mapsearch.report.html.numbers import Unit, unit_of
from mapsearch.serve.pages.forms import Left, left_over
from mapsearch.serve.pages.templates import render

router = APIRouter()

PAGE_SIZE = 20


@dataclass(frozen=True)
class StudyCard:
    """One study of the list; `study` is None where it cannot be read, and `headline` then says why."""

    summary: StudySummary
    headline: str
    study: StudyOverview | None = None
    unit: Unit | None = None
    forest: Forest | None = None


@router.get("/")
def studies(
    request: Request, left: Left, find: str = "", page: Annotated[int, Query(ge=1, le=10**6)] = 1
) -> HTMLResponse:
    """Every study whose name holds the text, newest first."""
    storage = request.app.state.settings.storage
    try:
        listed = queries.list_studies(storage)
    except NoDatabase:
        listed = []
    fitting = [study for study in listed if find.lower() in study.name.lower()]
    shown = fitting[(page - 1) * PAGE_SIZE : page * PAGE_SIZE]
    heads = queries.heads([study.name for study in shown], storage) if shown else []
    cards = [_card(summary, head) for summary, head in zip(shown, heads, strict=True)]
    n_pages = max(1, -(-len(fitting) // PAGE_SIZE))
    return render(
        request, "studies.html", cards=cards, find=find, page=page, n_pages=n_pages, n_fitting=len(fitting),
        n_all=len(listed), left=left_over(left, storage),
    )  # fmt: skip


def _card(summary: StudySummary, head: StudyOverview | Exception) -> StudyCard:
    if isinstance(head, Exception):
        return StudyCard(summary, str(head))
    verdict = head.verdict
    if verdict is None:
        return StudyCard(summary, BEFORE_VERDICT[head.state], head)
    values = [value for value in (head.teacher.get(head.metric),) if value is not None]
    unit = unit_of(head.metric, values, verdict.margin)
    return StudyCard(summary, HEADLINES[verdict.decision], head, unit, forest(verdict, head))
