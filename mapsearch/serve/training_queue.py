"""Starts the final trainings that wait, tells those that are to stop, and writes down why one failed."""

import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

from mapsearch.serve import children
from mapsearch.serve.training_folder import PID, PROBLEM, SAID, STOP, TrainingFolder
from mapsearch.serve.trainings import folders

INTERRUPTED = 130
"""The exit code of a training that was asked to stop and has saved its checkpoint."""


class TrainingQueue:
    """The trainings below a folder, as one service looks after them; what runs, the folders themselves say."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._children: dict[str, tuple[TrainingFolder, subprocess.Popen[bytes]]] = {}
        self._told: set[str] = set()

    def n_running(self) -> int:
        """How many train now, those that an earlier service started included."""
        return sum(folder.state() == "running" for folder in folders(self._root))

    def look(self, n_free: int, url: str) -> None:
        """Take note of what ended and what is to stop, and start so many of those that wait longest.

        Args:
            url: of the study database.
        """
        self._bury()
        for folder in folders(self._root):
            state = folder.state()
            if state == "running" and (folder.path / STOP).exists():
                self._tell_to_stop(folder)
            elif state == "queued" and n_free > 0 and folder.id not in self._children:
                self._start(folder, url)
                n_free -= 1

    def _start(self, folder: TrainingFolder, url: str) -> None:
        order = folder.order
        options = {"--trial": order.trial, "--steps": order.steps, "--seed": order.seed, "--keep": order.keep}
        given = [text for name, value in options.items() if value is not None for text in (name, str(value))]
        arguments = ["train", order.study, "-o", str(folder.student), *given]
        with folder.lock() as lock:
            if lock is None or folder.state_at_rest() != "queued":
                return
            (folder.path / PID).unlink(missing_ok=True)  # an older process's
            self._told.discard(folder.id)
            with (folder.path / SAID).open("wb") as said:
                child = children.start(arguments, url, said, pid_file=folder.path / PID, inherited=(lock,))
        self._children[folder.id] = (folder, child)

    def _tell_to_stop(self, folder: TrainingFolder) -> None:
        """Once: a second signal would not wait for the checkpoint."""
        with suppress(OSError, ValueError):  # it has not yet written its number, or has ended
            if folder.id not in self._told:
                os.kill(int((folder.path / PID).read_text(encoding="ascii")), signal.SIGTERM)
                self._told.add(folder.id)

    def _bury(self) -> None:
        for name, (folder, child) in list(self._children.items()):
            code = child.poll()
            if code is None:
                continue
            del self._children[name]
            with suppress(OSError):  # it was removed
                if code == INTERRUPTED:
                    if name not in self._told:  # one that was told is marked already, and may have been resumed since
                        (folder.path / STOP).touch()
                elif code != 0 and folder.state() == "queued":
                    with (folder.path / SAID).open("rb") as said:
                        (folder.path / PROBLEM).write_text(children.reason(code, said), encoding="utf-8")
