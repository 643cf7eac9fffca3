"""What happens to a study: as pages of a list, or as a stream that misses nothing."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Header, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from mapsearch.api import queries
from mapsearch.core.errors import StoreError, StudyNotFound
from mapsearch.core.summaries import StudyEvent
from mapsearch.report.study_json import study_summary
from mapsearch.serve.looks import SECONDS_BETWEEN_LOOKS, Looks
from mapsearch.serve.routes.answer import Json
from mapsearch.serve.routes.parameters import LARGEST, AfterEvent, Limit, Name

router = APIRouter(prefix="/studies/{name}/events", tags=["events"])

LOOKS_PER_SIGN_OF_LIFE = 15
EVENTS_PER_LOOK = 500


@router.get("", response_model=list[StudyEvent])
def list_events(request: Request, name: Name, after: AfterEvent = 0, limit: Limit = 100) -> Json:
    """The events above an id, oldest first."""
    found = queries.events(name, request.app.state.settings.storage, after=after, limit=limit)
    return Json([asdict(event) for event in found])


@router.get("/stream", response_class=StreamingResponse, responses={200: {"content": {"text/event-stream": {}}}})
async def stream_events(
    request: Request,
    name: Name,
    after: AfterEvent = 0,
    last_event_id: Annotated[str | None, Header(max_length=20)] = None,
) -> StreamingResponse:
    """Server-sent events: `event` for each event, with its id; `study`, its line of the list, whenever it changed.

    A reader that reconnects sends `Last-Event-ID`, as browsers do by themselves, and misses nothing.
    """
    storage = request.app.state.settings.storage
    await run_in_threadpool(queries.summary, name, storage)  # an unknown study is an error, not an empty stream
    known = last_event_id or ""
    cursor = min(int(known), LARGEST) if known.isascii() and known.isdigit() else after
    return StreamingResponse(_follow(name, storage, cursor, request.app.state.looks), media_type="text/event-stream")


async def _follow(name: str, storage: str, cursor: int, looks: Looks) -> AsyncIterator[str]:
    shown, n_looks = None, 0
    while True:
        try:
            found = await looks.ask(_events, name, storage, cursor)
            study = await looks.ask(queries.summary, name, storage)
        except StudyNotFound:  # renamed or deleted
            yield "event: gone\ndata: {}\n\n"
            return
        except StoreError:  # out of reach for now
            found, study = [], None
        for event in found:
            cursor = event.id
            yield f"id: {event.id}\nevent: event\ndata: {json.dumps(asdict(event))}\n\n"
        if study is not None and study != shown:
            shown = study
            yield f"event: study\ndata: {json.dumps(study_summary(study))}\n\n"
        n_looks += 1
        if n_looks % LOOKS_PER_SIGN_OF_LIFE == 0:
            yield ": still here\n\n"
        if len(found) < EVENTS_PER_LOOK:
            await asyncio.sleep(SECONDS_BETWEEN_LOOKS)


def _events(name: str, storage: str, cursor: int) -> list[StudyEvent]:
    return queries.events(name, storage, after=cursor, limit=EVENTS_PER_LOOK)
