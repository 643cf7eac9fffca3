"""What may be started, and what that would take."""

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Body, Path, Request

from mapsearch.api import launching
from mapsearch.serve.folders import StudyFolder, file_of, require_settings_without_code, study_folders
from mapsearch.serve.routes.answer import Json
from mapsearch.serve.routes.studies import StudySettings

router = APIRouter(prefix="/folders", tags=["studies"])


@router.get("", response_model=list[StudyFolder])
def list_folders(request: Request) -> Json:
    """Every study folder below `--studies`: its study's name, or what is wrong with its study file."""
    root = request.app.state.settings.studies
    return Json([] if root is None else [asdict(folder) for folder in study_folders(root)])


@router.post("/{folder}/forecast", response_model=launching.LaunchForecast)
def forecast(
    request: Request,
    folder: Annotated[str, Path(max_length=255)],
    settings: Annotated[StudySettings, Body(embed=True)],
) -> Json:
    """The runs of every stage, at most, and which gain the budget can see; nothing is stored, no task is loaded."""
    path = file_of(request.app.state.settings.studies, folder)
    require_settings_without_code(settings)
    return Json(asdict(launching.forecast(path, launching.as_settings(settings))))
