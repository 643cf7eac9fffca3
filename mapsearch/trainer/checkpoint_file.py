"""The checkpoint of a training as a file: whole or not there, and read without running anything."""

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from mapsearch.core.errors import TrainingChanged, TrainingFailed
from mapsearch.trainer.files import replaced

FILE = "checkpoint.pt"


@dataclass(frozen=True)
class CheckpointFile:
    """The checkpoint in a folder. `identity` is what is trained: a checkpoint of anything else is refused."""

    folder: Path
    identity: dict[str, Any]

    @property
    def path(self) -> Path:
        """Where it lies."""
        return self.folder / FILE

    def read(self) -> dict[str, Any] | None:
        """What `write` wrote last; None where there is nothing yet.

        Raises:
            TrainingChanged: the file is of another training.
            TrainingFailed: it is no checkpoint.
        """
        if not self.path.exists():
            return None
        try:
            data: dict[str, Any] = torch.load(self.path, map_location="cpu", weights_only=True)
            identity, state = data["identity"], data["state"]
        except (OSError, RuntimeError, UnpicklingError, EOFError, KeyError, TypeError) as error:
            reason = " ".join(str(error).split())[:200]
            raise TrainingFailed(f"{self.path} is not a checkpoint: {reason}; delete it to begin anew") from None
        require_same(self.folder, identity, self.identity)
        return dict(state)

    def write(self, state: dict[str, Any]) -> None:
        """Replace the checkpoint by this one.

        Raises:
            TrainingFailed: it cannot be written; the one before stays, and this one is kept elsewhere if possible.
        """
        data = {"identity": self.identity, "state": state}
        try:
            _save(data, self.path)
        except (OSError, RuntimeError) as error:
            raise TrainingFailed(f"{self.path} cannot be written: {_reason(error)}; {self._rescued(data)}") from None

    def remove(self) -> None:
        """Delete it: its training is done."""
        self.path.unlink(missing_ok=True)

    def _rescued(self, data: dict[str, Any]) -> str:
        """Write it into a folder for temporary files; what became of it, as a sentence."""
        again = "run the same command again"
        try:
            folder = Path(tempfile.mkdtemp(prefix="mapsearch-train-"))
            _save(data, folder / FILE)
        except (OSError, RuntimeError):
            step = f"goes on from {self.path}" if self.path.exists() else "begins anew"
            return f"nor anywhere else: make room, then {again}, which {step}"
        return f"it lies in {folder / FILE}: move it to {self.path} and {again}"


def require_same(folder: Path, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Make sure that a folder holds what is trained now.

    Raises:
        TrainingChanged: it holds another training; what differs is named.
    """
    changed = [f"`{key}`: {before.get(key)} -> {now.get(key)}" for key in now if before.get(key) != now.get(key)]
    if changed:
        raise TrainingChanged(f"{folder} holds another training ({'; '.join(changed)}); choose another -o")


def _save(data: dict[str, Any], path: Path) -> None:
    with replaced(path) as unfinished, unfinished.open("wb") as file:  # by Python, whose errors say what is wrong
        torch.save(data, file)


def _reason(error: Exception) -> str:
    cause = error if isinstance(error, OSError) else error.__cause__ or error.__context__
    if isinstance(cause, OSError) and cause.errno is not None:
        return os.strerror(cause.errno)
    return " ".join(str(error).split())[:200]
