"""Final trainings: queued, watched, fetched, stopped, resumed, removed."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import FileResponse

from mapsearch.api import exports
from mapsearch.core.studies import LONGEST_NAME, STUDY_NAME
from mapsearch.core.trained import Keep
from mapsearch.serve import trainings
from mapsearch.serve.folders import require_startable
from mapsearch.serve.routes.answer import Json
from mapsearch.serve.routes.models import TrainingShown
from mapsearch.serve.routes.parameters import LARGEST, Name
from mapsearch.serve.training_folder import TrainingFolder

router = APIRouter(tags=["trainings"])

Id = Annotated[str, Path(max_length=255, description="Id of the training.")]


class NewTraining(BaseModel):
    """How the final student is trained; what is left out is as `mapsearch train` takes it by itself."""

    model_config = ConfigDict(extra="forbid")

    trial: int | None = Field(None, ge=0, le=LARGEST, description="Unset: the recommended one.")
    steps: int | None = Field(None, ge=2, le=LARGEST, description="Unset: the full schedule.")
    seed: int | None = Field(None, ge=0, le=LARGEST, description="Unset: that of the trial's reference run.")
    keep: Keep = "last"


@router.post("/studies/{name}/train", status_code=202, response_model=TrainingShown)
def train(request: Request, name: Name, new: NewTraining) -> Json:
    """Let the final student of a trial be trained, in a folder of the service's own."""
    settings = request.app.state.settings
    require_startable(name, settings)
    trial = exports.trained_trial(name, new.trial, settings.storage)
    queued = trainings.queue(settings.trainings, name, trial, steps=new.steps, seed=new.seed, keep=new.keep)
    return Json(queued.to_json(), 202)


@router.get("/trainings", response_model=list[TrainingShown])
def list_trainings(
    request: Request,
    study: Annotated[
        str | None, Query(pattern=STUDY_NAME, max_length=LONGEST_NAME, description="Those of this study only.")
    ] = None,
) -> Json:
    """Every training, the oldest first."""
    known = [folder.read() for folder in trainings.folders(request.app.state.settings.trainings)]
    return Json([training.to_json() for training in known if study in (None, training.order.study)])


@router.get("/trainings/{training}", response_model=TrainingShown)
def show_training(request: Request, training: Id) -> Json:
    """One of them, with its files; once it is complete, with what the student does."""
    return Json(_folder(request, training).read().to_json())


@router.post("/trainings/{training}/stop", status_code=202, response_model=TrainingShown)
def stop_training(request: Request, training: Id) -> Json:
    """Ask a training to stop as Ctrl-C would: its checkpoint is kept."""
    return Json(trainings.stop(_folder(request, training)).to_json(), 202)


@router.post("/trainings/{training}/resume", status_code=202, response_model=TrainingShown)
def resume_training(request: Request, training: Id) -> Json:
    """Let a training that stopped or failed go on from its last checkpoint."""
    return Json(trainings.resume(_folder(request, training)).to_json(), 202)


@router.delete("/trainings/{training}", response_model=TrainingShown)
def remove_training(request: Request, training: Id) -> Json:
    """Delete a training that does not run, with all its files."""
    return Json(trainings.remove(_folder(request, training)).to_json())


@router.get(
    "/trainings/{training}/files/{file}",
    response_class=FileResponse,
    responses={200: {"content": {"application/octet-stream": {}}}},
)
def download(request: Request, training: Id, file: Annotated[str, Path(max_length=255)]) -> FileResponse:
    """A file that the training has written."""
    path = trainings.file_of(_folder(request, training), file)
    return FileResponse(path, media_type="application/octet-stream", filename=path.name)


def _folder(request: Request, training: str) -> TrainingFolder:
    return trainings.folder_of(request.app.state.settings.trainings, training)
