"""One error body for everything that goes wrong: a code for programs, problems in words for people."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from mapsearch.core.errors import (
    DatabaseFailed,
    ExportError,
    MapsearchError,
    NoDatabase,
    SpecError,
    StoreError,
    StudyBusy,
    StudyChanged,
    StudyNotFound,
    TrainingBusy,
    TrainingNotFound,
)
from mapsearch.core.text import printable, shortened
from mapsearch.serve.pages.templates import render

STATUS: tuple[tuple[type[MapsearchError], int, str], ...] = (
    (StudyNotFound, 404, "study_not_found"),
    (NoDatabase, 404, "no_database"),
    (StudyBusy, 409, "study_busy"),
    (StudyChanged, 409, "study_changed"),
    (TrainingNotFound, 404, "training_not_found"),
    (TrainingBusy, 409, "training_busy"),
    (DatabaseFailed, 503, "database_failed"),
    (StoreError, 409, "store_error"),
    (SpecError, 422, "invalid_study"),
    (ExportError, 422, "export_refused"),
    (MapsearchError, 422, "refused"),
)
"""What an error of ours is to HTTP; the first row that fits counts."""

CODES = {400: "bad_request", 401: "not_signed_in", 403: "forbidden", 404: "not_found", 405: "method_not_allowed"}


class ErrorBody(BaseModel):
    """What every answer that is no success holds."""

    error: Annotated[str, Field(description="What kind of error it is, for programs.")]
    problems: Annotated[list[str], Field(description="What is wrong and the way out, one line each.")]


ANSWERS: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorBody, "description": description}
    for status, description in {
        400: "The request itself is broken.",
        401: "No token or session, or a wrong one.",
        403: "The token only reads, or the request comes from another site.",
        404: "There is no such thing.",
        409: "It cannot be done as things stand.",
        411: "The body does not say its length.",
        413: "The body is too large.",
        421: "The service has another name.",
        422: "What was given breaks a rule.",
        503: "The study database failed.",
    }.items()
}
"""The errors that every operation may answer with, for the OpenAPI document."""


def error_response(status: int, code: str, problems: Sequence[str]) -> JSONResponse:
    """An answer with the one error body."""
    return JSONResponse({"error": code, "problems": list(problems)}, status)


def install(app: FastAPI) -> None:
    """Let every error leave the app in the one form."""
    app.add_exception_handler(MapsearchError, _ours)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(Exception, _unexpected)


async def _ours(request: Request, error: Exception) -> Response:
    assert isinstance(error, MapsearchError)
    status, code = next((status, code) for kind, status, code in STATUS if isinstance(error, kind))
    return _answer(request, status, code, error.problems)


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code = CODES.get(error.status_code, "http_error")
    problem = printable(f"{request.method} {request.url.path}: {error.detail}")
    answer = _answer(request, error.status_code, code, [problem])
    answer.headers.update(error.headers or {})
    return answer


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    problems = [printable(_problem(item)) for item in error.errors()]
    return _answer(request, 422, "invalid_request", problems)


def _problem(item: Mapping[str, Any]) -> str:
    if item["type"] == "json_invalid":
        return f"the body must be JSON, but is none at character {item['loc'][-1]}: {item['ctx']['error']}"
    return f"{'.'.join(map(str, item['loc']))}: {item['msg']}, but got {shortened(item.get('input'))}"


def _answer(request: Request, status: int, code: str, problems: Sequence[str]) -> Response:
    """A page for people, the one body for programs."""
    if request.url.path.startswith("/api/"):
        return error_response(status, code, problems)
    return render(request, "error.html", status, problems=problems)


async def _unexpected(request: Request, error: Exception) -> Response:
    return error_response(500, "unexpected", [f"unexpected {type(error).__name__}; the service's own output says more"])
