"""Trials and runs, a page at a time, and one run with its curve."""

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, HTTPException, Path, Query, Request

from mapsearch.api import queries
from mapsearch.core.runs import Run, RunKey
from mapsearch.core.summaries import RunSummary
from mapsearch.serve.routes.answer import Json
from mapsearch.serve.routes.models import TrialShown
from mapsearch.serve.routes.parameters import LARGEST, AfterNumber, ChosenTrial, Limit, Name, TrialNumber

router = APIRouter(prefix="/studies/{name}", tags=["trials and runs"])


@router.get("/trials", response_model=list[TrialShown])
def list_trials(request: Request, name: Name, after: AfterNumber = -1, limit: Limit = 100) -> Json:
    """The trials above a number, by number: those of `mapsearch show --json`."""
    return Json(queries.show(name, request.app.state.settings.storage, after=after, limit=limit)["trials"])


@router.get("/trials/{number}", response_model=TrialShown)
def show_trial(request: Request, name: Name, number: TrialNumber) -> Json:
    """One trial of those."""
    listed = queries.show(name, request.app.state.settings.storage, after=number - 1, limit=1)["trials"]
    if not listed or listed[0]["number"] != number:
        raise HTTPException(404, f"study `{name}` has no trial {number}")
    return Json(listed[0])


@router.get("/runs", response_model=list[RunSummary])
def list_runs(
    request: Request,
    name: Name,
    trial: ChosenTrial = None,
    after: Annotated[
        str | None, Query(pattern=r"^\d{1,9},\d{1,9},\d{1,9}$", description="trial,rung,seed of the last run known.")
    ] = None,
    limit: Limit = 100,
) -> Json:
    """The runs of a study or of one trial, by trial, rung and seed, without their curves."""
    storage, key = request.app.state.settings.storage, _key(after) if after else None
    runs = queries.run_list(name, storage, of_trial=trial, after=key, limit=limit)
    return Json([asdict(run) for run in runs])


@router.get("/runs/{trial}/{rung}/{seed}", response_model=Run)
def show_run(
    request: Request, name: Name, trial: TrialNumber, rung: TrialNumber,
    seed: Annotated[int, Path(ge=0, le=LARGEST)],
) -> Json:  # fmt: skip
    """One run with its metrics, its curve of losses, scales and gradient shares."""
    _, _, runs = queries.read_for_export(name, request.app.state.settings.storage, trial)
    found = next((run for run in runs if run.key == (trial, rung, seed)), None)
    if found is None:
        raise HTTPException(404, f"study `{name}` has no run {trial},{rung},{seed}")
    return Json(asdict(found))


def _key(text: str) -> RunKey:
    trial, rung, seed = map(int, text.split(","))
    return trial, rung, seed
