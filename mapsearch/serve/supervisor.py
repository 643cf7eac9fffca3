"""Starts the studies that wait in the database, as processes of their own, a few at a time.

What it knows stands in the database: requests to start, and leases that say what runs. So a service that was killed
goes on where it stood, and what it had started runs on without it. A process that was started takes the request
together with the lease: until then, whoever stops, renames or deletes the study has the last word.
"""

import subprocess
import tempfile
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Self

from mapsearch.api import launching
from mapsearch.core.errors import MapsearchError
from mapsearch.core.studies import StartRequest
from mapsearch.serve import children
from mapsearch.serve.settings import Settings
from mapsearch.serve.training_queue import TrainingQueue
from mapsearch.store.store import Store

SECONDS_BETWEEN_LOOKS = 1.0


class Supervisor:
    """While it is open, a thread looks for studies to start and for processes that ended."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._children: dict[str, _Child] = {}
        self._trainings = TrainingQueue(settings.trainings)
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._look_on, name="supervisor", daemon=True)

    def __enter__(self) -> Self:
        if self._settings.studies is not None:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closed.set()
        if self._thread.is_alive():
            self._thread.join()

    def _look_on(self) -> None:
        while not self._closed.wait(SECONDS_BETWEEN_LOOKS):
            with suppress(MapsearchError, OSError):  # no database yet, or no process to be had
                self._bury()
                self._start_waiting()

    def _start_waiting(self) -> None:
        with Store.open_to_read(self._settings.storage) as store:
            waiting, busy, url = store.start_requests(), store.running_here() | self._children.keys(), store.url
        n_free = self._settings.max_running - len(busy) - self._trainings.n_running()
        for request in waiting:
            if n_free > 0 and request.name not in busy and self._settings.may_start(Path(request.folder)):
                self._children[request.name] = _start(request, url)
                n_free -= 1
        self._trainings.look(n_free, url)

    def _bury(self) -> None:
        """Takes note of processes that ended; one that failed before the study was its own is told with the study."""
        for name, child in list(self._children.items()):
            code = child.process.poll()
            if code is None:
                continue
            with suppress(MapsearchError):  # another process has the study now, or it was renamed or deleted
                if code != 0:
                    launching.record_end(child.request, children.reason(code, child.said), self._settings.storage)
            child.said.close()
            del self._children[name]


@dataclass(frozen=True)
class _Child:
    """The process that is to fulfil a request, and the file that holds what it said."""

    request: StartRequest
    process: subprocess.Popen[bytes]
    said: IO[bytes]


def _start(request: StartRequest, url: str) -> _Child:
    said = tempfile.TemporaryFile()  # noqa: SIM115  # the child's, until it ends
    return _Child(request, children.start(["run", request.name, "--as-asked"], url, said), said)
