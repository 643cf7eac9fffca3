"""Answers as JSON that `printable_json` writes: the same bytes as the commands' `--json`."""

from typing import Any

from starlette.responses import Response

from mapsearch.core.text import printable_json


class Json(Response):
    """Plain data as `--json` prints it."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """The data as text."""
        return printable_json(content).encode()
