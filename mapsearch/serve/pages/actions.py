"""What is done to a study from its page: the forms behind its buttons. The gate lets only those in who may act."""

import re

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse

from mapsearch.api import launching, queries, upkeep
from mapsearch.core.errors import SpecError
from mapsearch.core.looks import LOOKS
from mapsearch.core.text import shortened
from mapsearch.serve.folders import require_startable
from mapsearch.serve.pages.forms import Fields, left_query, to_study

router = APIRouter(prefix="/studies/{name}")


@router.post("/stop")
def stop(request: Request, name: str) -> RedirectResponse:
    """Ask the study to stop as Ctrl-C would."""
    storage = request.app.state.settings.storage
    queries.summary(name, storage)  # where there is no database, none is made
    launching.stop(name, storage)
    return to_study(name, "?asked=stop")


@router.post("/resume")
def resume(request: Request, name: str) -> RedirectResponse:
    """Let a study that stopped or failed wait for its next start."""
    require_startable(name, request.app.state.settings)
    launching.resume(name, request.app.state.settings.storage)
    return to_study(name)


@router.post("/confirm")
def confirm(request: Request, name: str, fields: Fields) -> RedirectResponse:
    """Let the open questions of a finished study be followed to more fresh seeds."""
    require_startable(name, request.app.state.settings)
    launching.confirm_more(name, _seeds(fields.get("seeds", "")), request.app.state.settings.storage)
    return to_study(name)


@router.post("/note")
def note(request: Request, name: str, fields: Fields) -> RedirectResponse:
    """Replace what people wrote about the study."""
    upkeep.note(name, fields.get("note", ""), request.app.state.settings.storage)
    return to_study(name, "#note")


@router.post("/rename")
def rename(request: Request, name: str, fields: Fields) -> RedirectResponse:
    """Give the study another name."""
    new_name = fields.get("name", "").strip()
    left = upkeep.rename(name, new_name, request.app.state.settings.storage)
    return to_study(new_name, left_query(() if left is None else (left,)))


@router.post("/delete")
def delete(request: Request, name: str, fields: Fields) -> RedirectResponse:
    """Remove the study with all that it found, once its name was typed."""
    if fields.get("confirm", "").strip() != name:
        raise SpecError(f"type the name of the study, `{name}`, to delete it; nothing was deleted")
    left = upkeep.delete(name, request.app.state.settings.storage)
    return RedirectResponse(f"/{left_query(left)}", 303)


def _seeds(text: str) -> int:
    seeds = int(text) if re.fullmatch("[0-9]{1,3}", text) else 0
    if not LOOKS[0] <= seeds <= LOOKS[-1]:
        raise SpecError(
            f"the fresh seeds must be a whole number from {LOOKS[0]} to {LOOKS[-1]}, but got {shortened(text)}"
        )
    return seeds
