"""A final training as a folder: its order, its lock, what it said, and the student.

A process that trains holds the folder's lock, which it inherits when it is started and which ends with it, however it
ends: so every service, also the next one, knows what runs.
"""

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from mapsearch.core.errors import MapsearchError
from mapsearch.core.trainings import Training, TrainingFile, TrainingOrder, TrainingState

if sys.platform != "win32":
    import fcntl

ORDER, STUDENT, SAID, LOCK, PID, STOP, PROBLEM = "order.json", "student", "said", "lock", "pid", "stop", "problem"
METRICS = "metrics.json"
"""Which `mapsearch train` writes last: where it is, the student is whole."""
TRIES, SECONDS_BETWEEN_TRIES = 20, 0.05
"""Of those who want the lock alone: others who only look have it for an instant."""


@dataclass(frozen=True)
class TrainingFolder:
    """The folder of one training."""

    path: Path

    @property
    def id(self) -> str:
        """Its name, by which clients ask for it."""
        return self.path.name

    @property
    def student(self) -> Path:
        """What `mapsearch train -o` is given."""
        return self.path / STUDENT

    @property
    def order(self) -> TrainingOrder:
        """What was asked for."""
        return TrainingOrder(**json.loads((self.path / ORDER).read_text(encoding="utf-8")))

    def write_order(self, order: TrainingOrder) -> None:
        """Make the folder; its order comes last and whole, and with it the training waits for its start."""
        self.path.mkdir(parents=True)
        (self.path / LOCK).touch()
        unfinished = self.path / f".{ORDER}"
        unfinished.write_text(json.dumps(asdict(order)), encoding="utf-8")
        os.replace(unfinished, self.path / ORDER)

    @contextmanager
    def lock(self) -> Iterator[int | None]:
        """The descriptor of the lock, for a process to inherit; None while another process trains."""
        with (self.path / LOCK).open("rb") as file:
            for _ in range(TRIES):
                if _is_locked(file.fileno(), shared=False):
                    yield file.fileno()
                    return
                time.sleep(SECONDS_BETWEEN_TRIES)
            yield None

    def state(self) -> TrainingState:
        """How the training goes."""
        with (self.path / LOCK).open("rb") as file:  # shared: those who look do not take each other for the training
            return self.state_at_rest() if _is_locked(file.fileno(), shared=True) else "running"

    def state_at_rest(self) -> TrainingState:
        """How it stands while no process trains."""
        if (self.student / METRICS).exists():
            return "complete"
        if (self.path / PROBLEM).exists():
            return "failed"
        return "stopped" if (self.path / STOP).exists() else "queued"

    def read(self) -> Training:
        """The training as it stands."""
        state, problem = self.state(), self.path / PROBLEM
        return Training(
            self.id, state, self.order, tuple(TrainingFile(path.name, path.stat().st_size) for path in self.files()),
            problem.read_text(encoding="utf-8") if state == "failed" else None,
            json.loads((self.student / METRICS).read_text(encoding="utf-8")) if state == "complete" else None,
        )  # fmt: skip

    def files(self) -> list[Path]:
        """What the student's folder holds, but for what is being written, by name."""
        if not self.student.is_dir():
            return []
        whole = (path for path in self.student.iterdir() if path.is_file() and not path.is_symlink())
        return sorted(path for path in whole if not path.name.startswith("."))


def _is_locked(descriptor: int, *, shared: bool) -> bool:
    """Takes the lock until the file is closed, by all who inherit it; False where another has it.

    Raises:
        MapsearchError: this system has no such locks.
    """
    if sys.platform == "win32":
        raise MapsearchError("a service trains on Linux and macOS only; run `mapsearch train` instead")
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
