"""Studies: listed, shown, started, stopped, renamed, noted, deleted."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter
from starlette.responses import Response

from mapsearch.api import launching, queries, upkeep
from mapsearch.api.reports import report_html
from mapsearch.core.errors import NoDatabase, SpecError
from mapsearch.core.similarity import Similarity
from mapsearch.core.studies import LONGEST_NAME, STUDY_NAME
from mapsearch.core.summaries import StudyOverview
from mapsearch.core.verdict import Verdict
from mapsearch.report.study_json import study_summary
from mapsearch.serve.folders import file_of, require_settings_without_code, require_startable
from mapsearch.serve.routes.answer import Json
from mapsearch.serve.routes.models import ChangedStudy, StudyLine, StudyShown
from mapsearch.serve.routes.parameters import AfterNumber, Limit, Name
from mapsearch.serve.settings import Settings

router = APIRouter(prefix="/studies", tags=["studies"])


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


StudySettings = dict[Annotated[str, Field(pattern="^[a-z_]+([.][a-z_]+)*$", max_length=100)], Any]


class NewStudy(_Body):
    """A study to be started: a folder below `--studies`, and keys of its study file that are set otherwise."""

    folder: str = Field(max_length=255)
    settings: StudySettings = Field(
        default_factory=dict, description="Dotted key -> value, such as `train.lr`; `name` among them."
    )


class Changes(_Body):
    """What is changed of a study; what is not given stays."""

    name: str | None = Field(None, pattern=STUDY_NAME, max_length=LONGEST_NAME)
    note: str | None = Field(None, max_length=upkeep.LONGEST_NOTE)


class MoreSeeds(_Body):
    """How many fresh seeds, in all, the open questions may have."""

    seeds: int = Field(ge=4, le=100)


@router.get("", response_model=list[StudyLine])
def list_studies(request: Request) -> Json:
    """Every study, newest first: what `mapsearch studies --json` prints; none where there is no database yet."""
    try:
        listed = queries.list_studies(_settings(request).storage)
    except NoDatabase:
        listed = []
    return Json([study_summary(study) for study in listed])


@router.post("", status_code=201, response_model=StudyLine)
def create_study(request: Request, new: NewStudy) -> Json:
    """Store a study and let it wait for its start."""
    return _create(request, new, None)


@router.post("/{name}/port", status_code=201, response_model=StudyLine)
def port_study(request: Request, name: Name, new: NewStudy) -> Json:
    """Store a study that begins with what the study NAME found, as far as it holds, and let it wait for its start."""
    return _create(request, new, name)


@router.get("/{name}", response_model=StudyShown)
def show_study(request: Request, name: Name, after: AfterNumber = -1, limit: Limit = 100) -> Json:
    """A study with its verdict, cost and a page of its trials: what `mapsearch show --json` prints."""
    return Json(queries.show(name, _settings(request).storage, after=after, limit=limit))


@router.get("/{name}/overview", response_model=StudyOverview)
def show_overview(request: Request, name: Name, n_best: Annotated[int, Query(ge=0, le=1000)] = 10) -> Json:
    """A study with so many of its best proposals, the tuned recipes and every control: what `mapsearch show` prints."""
    study = queries.overview(name, _settings(request).storage, n_best)
    return Json(TypeAdapter(StudyOverview).dump_python(study, mode="json"))


@router.patch("/{name}", response_model=ChangedStudy)
def change_study(request: Request, name: Name, changes: Changes) -> Json:
    """Rename a study that does not run, or replace its note."""
    storage, left = _settings(request).storage, None
    if changes.note is not None:
        upkeep.note(name, changes.note, storage)
    if changes.name is not None and changes.name != name:
        left = upkeep.rename(name, changes.name, storage)
        name = changes.name
    return Json({**study_summary(queries.summary(name, storage)), "left_over": [] if left is None else [str(left)]})


@router.delete("/{name}", response_model=ChangedStudy)
def delete_study(
    request: Request, name: Name, confirm: Annotated[str, Query(description="The name of the study, once more.")]
) -> Json:
    """Remove a study that does not run, with all that it found."""
    if confirm != name:
        raise SpecError(f"`confirm` must be the name of the study, `{name}`, to delete it")
    storage = _settings(request).storage
    deleted = study_summary(queries.summary(name, storage))
    return Json({**deleted, "left_over": [str(path) for path in upkeep.delete(name, storage)]})


@router.post("/{name}/stop", status_code=202, response_model=StudyLine)
def stop_study(request: Request, name: Name) -> Json:
    """Ask a study to stop as Ctrl-C would; all finished runs are kept."""
    queries.summary(name, _settings(request).storage)  # where there is no database, none is made
    launching.stop(name, _settings(request).storage)
    return _summary(request, name, 202)


@router.post("/{name}/resume", status_code=202, response_model=StudyLine)
def resume_study(request: Request, name: Name) -> Json:
    """Let a study that stopped or failed wait for its next start."""
    require_startable(name, _settings(request))
    launching.resume(name, _settings(request).storage)
    return _summary(request, name, 202)


@router.post("/{name}/confirm", status_code=202, response_model=StudyLine)
def confirm_study(request: Request, name: Name, more: MoreSeeds) -> Json:
    """Let the open questions of a finished study be followed to more fresh seeds."""
    require_startable(name, _settings(request))
    launching.confirm_more(name, more.seeds, _settings(request).storage)
    return _summary(request, name, 202)


@router.get("/{name}/verdict", response_model=Verdict | None)
def verdict(request: Request, name: Name) -> Json:
    """The verdict with its questions; null before there is one."""
    found = queries.study(name, _settings(request).storage).facts.verdict
    return Json(found and found.to_json())


@router.get("/{name}/similarity", response_model=Similarity | None)
def similarity(request: Request, name: Name) -> Json:
    """The similarity of all layer pairs with its noise floor; null before it was measured."""
    found = queries.study(name, _settings(request).storage).facts.similarity
    return Json(found and found.to_json())


@router.get("/{name}/report", response_class=Response, responses={200: {"content": {"text/html": {}}}})
def report(request: Request, name: Name) -> Response:
    """The study as one self-contained page, as `mapsearch report` writes it."""
    page = report_html(name, _settings(request).storage)
    headers = {"Content-Disposition": f'attachment; filename="{name}.html"'}
    return Response(page, media_type="text/html", headers=headers)


def _create(request: Request, new: NewStudy, port_of: str | None) -> Json:
    settings = _settings(request)
    path = file_of(settings.studies, new.folder)
    require_settings_without_code(new.settings)
    if port_of is not None:
        queries.summary(port_of, settings.storage)  # where there is no database, none is made
    spec = launching.create(path, launching.as_settings(new.settings), settings.storage, port_of=port_of)
    return _summary(request, spec.name, 201)


def _settings(request: Request) -> Settings:
    settings = request.app.state.settings
    assert isinstance(settings, Settings)
    return settings


def _summary(request: Request, name: str, status: int = 200) -> Json:
    return Json(study_summary(queries.summary(name, _settings(request).storage)), status)
