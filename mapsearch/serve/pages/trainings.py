"""The final trainings of the service: asked for from a trial's page, watched, fetched, stopped, resumed, removed."""

from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from fastapi import Path as InPath
from starlette.responses import HTMLResponse, RedirectResponse

from mapsearch.api import exports
from mapsearch.serve import trainings
from mapsearch.serve.folders import require_startable
from mapsearch.serve.pages.templates import render

router = APIRouter()

MOST_SHOWN = 50


@router.get("/trainings")
def listed(request: Request, study: str = "") -> HTMLResponse:
    """The newest trainings, of all studies or of one."""
    known = [folder.read() for folder in trainings.folders(request.app.state.settings.trainings)]
    shown = [training for training in reversed(known) if study in ("", training.order.study)]
    return render(request, "trainings.html", shown=shown[:MOST_SHOWN], n_fitting=len(shown), study=study)


@router.post("/studies/{name}/trials/{number}/train")
def train(request: Request, name: str, number: Annotated[int, InPath(ge=0, lt=2**31)]) -> RedirectResponse:
    """Let the trial's student be trained at the full schedule."""
    settings = request.app.state.settings
    require_startable(name, settings)
    trainings.queue(settings.trainings, name, exports.trained_trial(name, number, settings.storage))
    return RedirectResponse(f"/trainings?{urlencode({'study': name})}", 303)


@router.post("/trainings/{training}/stop")
def stop(request: Request, training: str) -> RedirectResponse:
    """Ask a training to stop; its checkpoint is kept."""
    trainings.stop(trainings.folder_of(request.app.state.settings.trainings, training))
    return RedirectResponse("/trainings", 303)


@router.post("/trainings/{training}/resume")
def resume(request: Request, training: str) -> RedirectResponse:
    """Let a training that stopped or failed go on."""
    trainings.resume(trainings.folder_of(request.app.state.settings.trainings, training))
    return RedirectResponse("/trainings", 303)


@router.post("/trainings/{training}/remove")
def remove(request: Request, training: str) -> RedirectResponse:
    """Delete a training that does not run, with all its files."""
    trainings.remove(trainings.folder_of(request.app.state.settings.trainings, training))
    return RedirectResponse("/trainings", 303)
