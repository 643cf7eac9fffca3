"""What the forms of the pages send: plain posts, which work without scripts."""

from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Annotated
from urllib.parse import parse_qsl, quote, urlencode

from fastapi import Depends, Query, Request
from starlette.responses import RedirectResponse

from mapsearch.api import queries
from mapsearch.core.folders import cache_folder


async def _fields(request: Request) -> dict[str, str]:
    text = (await request.body()).decode(errors="replace")
    pairs = parse_qsl(text, keep_blank_values=True)
    return {name: value.replace("\r\n", "\n") for name, value in pairs}  # as browsers send lines


Fields = Annotated[dict[str, str], Depends(_fields)]
"""Name of each field of the form -> its text."""


Left = Annotated[list[str], Query(default_factory=list)]
"""Names of what a study left over when it was renamed or deleted; a page tells those that are still there."""


def left_query(paths: Iterable[Path]) -> str:
    """The query that a page takes as `Left`; empty for nothing."""
    names = urlencode([("left", path.name) for path in paths])
    return f"?{names}" if names else ""


def left_over(left: Collection[str], storage: str) -> list[Path]:
    """Those of the named files and folders that still stand where studies keep theirs, and are no study's."""
    found = [path for path in cache_folder(storage, "").glob("*") if path.name in left]
    known = {study.name for study in queries.list_studies(storage)} if found else set()
    return sorted(path for path in found if path.name not in known)


def to_study(name: str, query: str = "") -> RedirectResponse:
    """On to the page of the study: asked for anew, so that loading it again sends nothing again."""
    return RedirectResponse(f"/studies/{quote(name, safe='')}{query}", 303)
