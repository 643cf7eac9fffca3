"""What the forms of the pages send: plain posts, which work without scripts."""

from typing import Annotated
from urllib.parse import parse_qsl, quote

from fastapi import Depends, Request
from starlette.responses import RedirectResponse


async def _fields(request: Request) -> dict[str, str]:
    text = (await request.body()).decode(errors="replace")
    pairs = parse_qsl(text, keep_blank_values=True)
    return {name: value.replace("\r\n", "\n") for name, value in pairs}  # as browsers send lines


Fields = Annotated[dict[str, str], Depends(_fields)]
"""Name of each field of the form -> its text."""


def to_study(name: str, query: str = "") -> RedirectResponse:
    """On to the page of the study: asked for anew, so that loading it again sends nothing again."""
    return RedirectResponse(f"/studies/{quote(name, safe='')}{query}", 303)
