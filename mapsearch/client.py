"""A service of studies, asked from another machine; nothing but Python's own library is needed."""

import json
from collections.abc import Iterator, Mapping
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import parse_qs, quote, urlencode, urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from mapsearch.core.errors import MapsearchError
from mapsearch.core.trained import Keep

PAGE = 500
"""Trials or runs of one answer."""


class Client:
    """The calls of a `mapsearch serve`, with the fields of `mapsearch show --json`.

    Every method raises `MapsearchError` when the service refuses, with the problems that it names, or is out of reach.

    Args:
        url: the address of the service, or the whole link that it printed.
        token: the token, where the link has none; one that only reads does for everything that reads.
        timeout: seconds to wait for an answer.
    """

    def __init__(self, url: str, token: str | None = None, *, timeout: float = 60.0) -> None:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise MapsearchError("the URL of a service must be http://HOST:PORT, or the link that it printed")
        self._base = f"{parts.scheme}://{parts.netloc}"
        self._token = token or parse_qs(parts.query).get("token", [""])[0]
        self._timeout = timeout
        self._opener = build_opener(_NoRedirect)

    def studies(self) -> list[dict[str, Any]]:
        """Every study, newest first."""
        return self._list("/studies")

    def folders(self) -> list[dict[str, Any]]:
        """The study folders that may be started."""
        return self._list("/folders")

    def show(self, name: str, *, after: int = -1, limit: int = PAGE) -> dict[str, Any]:
        """A study with its verdict, cost and a page of its trials."""
        return self._dict("GET", _study(name), {"after": after, "limit": limit})

    def overview(self, name: str, n_best: int) -> dict[str, Any]:
        """A study with so many of its best proposals, the tuned recipes and every control."""
        return self._dict("GET", f"{_study(name)}/overview", {"n_best": n_best})

    def forecast(self, folder: str, settings: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The runs that the study of a folder would take, at most, and which gain its budget sees."""
        path = f"/folders/{quote(folder, safe='')}/forecast"
        return self._dict("POST", path, body={"settings": dict(settings or {})})

    def create(self, folder: str, settings: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Start the study of a folder; `settings` are keys of its study file, such as `train.lr`."""
        return self._dict("POST", "/studies", body={"folder": folder, "settings": dict(settings or {})})

    def port(self, old: str, folder: str, settings: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Start the study of a folder so that it begins with what the study OLD found, as far as that holds."""
        body = {"folder": folder, "settings": dict(settings or {})}
        return self._dict("POST", f"{_study(old)}/port", body=body)

    def stop(self, name: str) -> dict[str, Any]:
        """Ask a study to stop as Ctrl-C would."""
        return self._dict("POST", f"{_study(name)}/stop")

    def resume(self, name: str) -> dict[str, Any]:
        """Let a study that stopped or failed go on."""
        return self._dict("POST", f"{_study(name)}/resume")

    def confirm(self, name: str, seeds: int) -> dict[str, Any]:
        """Follow the open questions of a finished study, up to so many fresh seeds in all."""
        return self._dict("POST", f"{_study(name)}/confirm", body={"seeds": seeds})

    def rename(self, name: str, new_name: str) -> dict[str, Any]:
        """Give a study another name; `left_over` names files that could not be moved along."""
        return self._dict("PATCH", _study(name), body={"name": new_name})

    def note(self, name: str, text: str) -> dict[str, Any]:
        """Replace what people wrote about a study."""
        return self._dict("PATCH", _study(name), body={"note": text})

    def delete(self, name: str) -> dict[str, Any]:
        """Remove a study with all that it found; `left_over` names files that could not be removed."""
        return self._dict("DELETE", _study(name), {"confirm": name})

    def train(
        self, name: str, *, trial: int | None = None, steps: int | None = None, seed: int | None = None,
        keep: Keep = "last",
    ) -> dict[str, Any]:  # fmt: skip
        """Let the final student of a trial be trained by the service; None is as `mapsearch.train` takes it."""
        order = {"trial": trial, "steps": steps, "seed": seed, "keep": keep}
        return self._dict("POST", f"{_study(name)}/train", body=order)

    def trainings(self, name: str | None = None) -> list[dict[str, Any]]:
        """Every final training, or those of one study, the oldest first."""
        return self._list("/trainings", None if name is None else {"study": name})

    def training(self, training: str) -> dict[str, Any]:
        """A training by its id: its state, its files, and once it is complete what the student does."""
        return self._dict("GET", _training(training))

    def stop_training(self, training: str) -> dict[str, Any]:
        """Ask a training to stop as Ctrl-C would; its checkpoint is kept."""
        return self._dict("POST", f"{_training(training)}/stop")

    def resume_training(self, training: str) -> dict[str, Any]:
        """Let a training that stopped or failed go on from its last checkpoint."""
        return self._dict("POST", f"{_training(training)}/resume")

    def remove_training(self, training: str) -> dict[str, Any]:
        """Delete a training that does not run, with all its files."""
        return self._dict("DELETE", _training(training))

    def download(self, training: str, file: str, path: Path | str) -> Path:
        """Fetch a file that a training has written; an existing file stays."""
        return _write(path, self._ask("GET", f"{_training(training)}/files/{quote(file, safe='')}"))

    def trials(self, name: str) -> Iterator[dict[str, Any]]:
        """Every trial, by number, fetched page by page."""
        after = -1
        while page := self._list(f"{_study(name)}/trials", {"after": after, "limit": PAGE}):
            yield from page
            after = page[-1]["number"]

    def runs(self, name: str) -> Iterator[dict[str, Any]]:
        """Every run without its curve, by trial, rung and seed, fetched page by page."""
        after: dict[str, Any] = {}
        while page := self._list(f"{_study(name)}/runs", {**after, "limit": PAGE}):
            yield from page
            after = {"after": "{trial},{rung},{seed}".format(**page[-1])}

    def export(self, name: str, to: str, path: Path | str, *, trial: int | None = None, lossy: bool = False) -> Path:
        """Fetch a recipe as the file of a target, a zip archive where it is several; an existing file stays."""
        query = {"lossy": lossy, **({} if trial is None else {"trial": trial})}
        return _write(path, self._ask("GET", f"{_study(name)}/exports/{quote(to, safe='')}", query))

    def _list(self, path: str, query: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self._ask("GET", path, query))
        return found

    def _dict(
        self, method: str, path: str, query: Mapping[str, Any] | None = None, *, body: Any = None
    ) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self._ask(method, path, query, body))
        return answer

    def _ask(self, method: str, path: str, query: Mapping[str, Any] | None = None, body: Any = None) -> bytes:
        url = f"{self._base}/api/v1{path}" + (f"?{urlencode(query)}" if query else "")
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {self._token}", **({"Content-Type": "application/json"} if data else {})}
        try:
            with self._opener.open(Request(url, data, headers, method=method), timeout=self._timeout) as answer:
                assert isinstance(answer, HTTPResponse)
                return answer.read()
        except HTTPError as error:
            raise MapsearchError(*_problems(self._base, error)) from None
        except (URLError, HTTPException, OSError, ValueError) as error:
            reason = getattr(error, "reason", None) or error
            raise MapsearchError(
                f"{self._base}: the service cannot be reached: {reason}; is `mapsearch serve` up?"
            ) from None


class _NoRedirect(HTTPRedirectHandler):
    """A service never redirects a call, and a token must not follow one elsewhere."""

    def redirect_request(self, *_: Any) -> None:
        return None


def _study(name: str) -> str:
    return f"/studies/{quote(name, safe='')}"


def _training(training: str) -> str:
    return f"/trainings/{quote(training, safe='')}"


def _write(path: Path | str, content: bytes) -> Path:
    try:
        with Path(path).open("xb") as file:
            file.write(content)
    except OSError as error:
        raise MapsearchError(f"{path} cannot be written: {error.strerror}; choose another") from None
    return Path(path)


def _problems(base: str, error: HTTPError) -> list[str]:
    """What the service says is wrong, or what it answered if it is none."""
    try:
        problems = json.loads(error.read())["problems"]
        return [f"{base}: {problem}" for problem in problems]
    except (ValueError, LookupError, TypeError):
        return [f"{base}: answered {error.code} {error.reason}, not as a mapsearch service does"]
