"""The service as its users meet it: a process of its own, asked over a socket."""

import http.client
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Service:
    """A running service; `ask` is one request with exactly the headers that are given."""

    process: subprocess.Popen[str]
    port: int
    act: str
    read: str

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request(method, path, body, {name.replace("_", "-"): text for name, text in headers.items()})
        answer = connection.getresponse()
        found = Answer(answer.status, {name.lower(): text for name, text in answer.getheaders()}, answer.read())
        connection.close()
        return found

    def call(self, method: str, path: str, data: Any = None) -> Answer:
        """A call of the API as a program makes it."""
        body = None if data is None else json.dumps(data).encode()
        kind = {} if data is None else {"Content_Type": "application/json"}
        return self.ask(method, f"/api/v1{path}", body, Authorization=f"Bearer {self.act}", **kind)

    def post(self, path: str, fields: dict[str, str], **headers: str) -> Answer:
        """A form of a page as a browser sends it, of someone who may act unless the headers say otherwise."""
        sent = {
            "Cookie": headers.get("Cookie") or self.session(self.act), "Sec_Fetch_Site": "same-origin",
            "Content_Type": "application/x-www-form-urlencoded",
        }  # fmt: skip
        return self.ask("POST", path, urlencode(fields).encode(), **{**sent, **headers})

    def session(self, token: str) -> str:
        """The cookie that a browser gets for a token."""
        return self.ask("GET", f"/?token={token}").headers["set-cookie"].partition(";")[0]


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Service]]:
    """`start(*options)` -> a service on a free port, ended with the module."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    environment.pop("MAPSEARCH_STORAGE", None)
    with ExitStack() as stack:

        def start(*options: object, python: Sequence[str] = ("-m", "mapsearch")) -> Service:
            process = stack.enter_context(
                subprocess.Popen(
                    [sys.executable, *python, "serve", "--port", "0", *map(str, options)],
                    stdout=subprocess.PIPE, text=True, cwd=tmp_path_factory.mktemp("service"), env=environment,
                )
            )  # fmt: skip
            stack.callback(process.kill)
            assert process.stdout is not None
            links = [process.stdout.readline() for _ in range(1 if "--read-only" in options else 2)]
            port = urlsplit(links[0].strip()).port
            tokens = [re.search(r"token=(\S+)", link)[1] for link in links]
            return Service(process, port, tokens[0], tokens[-1])

        yield start


@pytest.fixture(scope="module")
def service(start: Callable[..., Service], finished: tuple[Path, str]) -> Service:
    """A service of a database with one finished study, `tiny`; leave it as it is."""
    return start("--storage", finished[1])
