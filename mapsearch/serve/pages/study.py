"""One study: its decision and charts, its trials page by page, one trial, and the report as a file."""

from io import BytesIO
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote, urlencode
from zipfile import ZipFile

from fastapi import APIRouter, Query, Request
from fastapi import Path as InPath
from starlette.responses import HTMLResponse, Response

from mapsearch.api import exports, queries
from mapsearch.api.importances import importances
from mapsearch.api.progress import progress
from mapsearch.api.reports import report_html
from mapsearch.core.details import StudyDetails, TrialOrder
from mapsearch.core.errors import ExportError
from mapsearch.core.studies import ACTIVE
from mapsearch.report.html.numbers import unit_of
from mapsearch.report.html.study_page import SHOWN_TRIALS, study_page, trial_row
from mapsearch.report.html.trial_page import trial_page
from mapsearch.serve.pages.forms import Left, left_over
from mapsearch.serve.pages.templates import ENVIRONMENT, render

router = APIRouter(prefix="/studies/{name}")

PAGE_SIZE = 50
KINDS = ("tune", "control", "curve", "free", "matched")


@router.get("")
def study(request: Request, name: str, left: Left, asked: str = "") -> HTMLResponse:
    """The study: decision first; while it runs, how far it is; `asked` is what a button has just asked of it."""
    storage = request.app.state.settings.storage
    details = queries.details(name, storage, SHOWN_TRIALS)
    return render(
        request, "study.html", **_shown(details), asked=asked, again=_again(request, details),
        left=left_over(left, storage),
    )  # fmt: skip


@router.get("/live")
async def live(request: Request, name: str) -> HTMLResponse:
    """What changes of that page while the study is under way; all who follow it share one look and one rendering."""
    return HTMLResponse(await request.app.state.looks.ask(_live_part, name, request.app.state.settings.storage))


@router.get("/report.html")
def report(request: Request, name: str) -> Response:
    """The report, as a file to keep: its style stands inside it, which no page of the service may have."""
    page = report_html(name, request.app.state.settings.storage)
    return _download(f"{name}.html", page.encode(), "text/html; charset=utf-8")


@router.get("/importances")
def mattered(request: Request, name: str) -> HTMLResponse:
    """Which settings moved the search values; a page of its own, since it is computed when it is asked for."""
    storage = request.app.state.settings.storage
    try:
        parts = importances(name, storage).labelled
        why_not = "" if parts else "Too few trials with a mapping have a value yet."
    except ImportError:
        parts, why_not = (), "Optuna's evaluator needs scikit-learn on the server: `pip install scikit-learn`."
    return render(
        request, "importances.html", study=queries.details(name, storage, 0).overview, parts=parts, why_not=why_not,
    )  # fmt: skip


@router.get("/trials")
def trials(
    request: Request,
    name: str,
    kind: str = "",
    order: TrialOrder = "confirmed",
    page: Annotated[int, Query(ge=1, le=10**6)] = 1,
) -> HTMLResponse:
    """A page of the study's trials, in any order."""
    storage, offset = request.app.state.settings.storage, (page - 1) * PAGE_SIZE
    listed = queries.trial_list(name, storage, kind=kind, order=order, offset=offset, limit=PAGE_SIZE)
    study, verdict = listed.study, listed.study.verdict
    values = [trial.value for trial in listed.trials if trial.value is not None]
    return render(
        request, "trials.html", study=study, rows=[trial_row(trial, study) for trial in listed.trials],
        unit=unit_of(study.metric, values, verdict.margin if verdict else None), kind=kind, kinds=KINDS, order=order,
        page_number=page, n_pages=max(1, -(-listed.n_fitting // PAGE_SIZE)), n_fitting=listed.n_fitting,
    )  # fmt: skip


@router.get("/trials/{number}")
def trial(request: Request, name: str, number: Annotated[int, InPath(ge=0, lt=2**31)]) -> HTMLResponse:
    """One trial: its curves, its recipe, its runs, and what each export would lose."""
    settings = request.app.state.settings
    storage = settings.storage
    page = trial_page(queries.trial(name, number, storage))
    try:
        offers, why_not = exports.export_offers(name, number, storage), ""
    except ExportError as error:
        offers, why_not = (), str(error)
    may_train = (
        request.state.role == "act" and bool(offers) and settings.may_start(Path(queries.study(name, storage).folder))
    )
    return render(request, "trial.html", page=page, offers=offers, why_not=why_not, may_train=may_train)


@router.get("/trials/{number}/export")
def export(
    request: Request, name: str, number: Annotated[int, InPath(ge=0, lt=2**31)], to: str, lossy: bool = False
) -> Response:
    """A trial as the file that its target reads, or, where it consists of several, all of them in a zip."""
    texts = exports.exported_texts(name, to, number, request.app.state.settings.storage, lossy=lossy)
    main = next(iter(texts))
    if len(texts) == 1:
        return _download(main, texts[main].encode(), "text/plain; charset=utf-8")
    packed = BytesIO()
    with ZipFile(packed, "w") as archive:
        for file, text in texts.items():
            archive.writestr(file, text)
    return _download(f"{main}.zip", packed.getvalue(), "application/zip")


def _live_part(name: str, storage: str) -> str:
    return ENVIRONMENT.get_template("live.html").render(**_shown(queries.details(name, storage, SHOWN_TRIALS)))


def _again(request: Request, details: StudyDetails) -> str:
    """Where a study like this one, but for its seed, is launched; empty where the service may not start it."""
    root, folder = request.app.state.settings.studies, Path(details.folder)
    if root is None or folder.parent.resolve() != root.resolve():
        return ""
    asked = {"folder": folder.name, "name": f"{details.overview.name}-again", "seed": details.spec.get("seed", 0) + 1}
    return f"/launch?{urlencode(asked)}"


def _shown(details: StudyDetails) -> dict[str, Any]:
    study = details.overview
    is_live = study.state in ACTIVE
    return {
        "page": study_page(details), "details": details, "is_live": is_live,
        "progress": progress(details) if is_live else None, "address": f"/studies/{quote(study.name, safe='')}",
    }  # fmt: skip


def _download(file: str, body: bytes, media_type: str) -> Response:
    return Response(body, media_type=media_type, headers={"Content-Disposition": f'attachment; filename="{file}"'})
