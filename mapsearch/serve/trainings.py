"""The final trainings of a service: queued, listed, stopped, resumed, removed. Every one has a folder of its own."""

import shutil
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from mapsearch.core.errors import MapsearchError, TrainingBusy, TrainingNotFound
from mapsearch.core.trained import Keep
from mapsearch.core.trainings import Training, TrainingOrder
from mapsearch.serve.training_folder import ORDER, PROBLEM, STOP, TrainingFolder


def queue(
    root: Path, study: str, trial: int, *, steps: int | None = None, seed: int | None = None, keep: Keep = "last"
) -> Training:
    """Let a training wait for its start.

    Args:
        root: the folder of all trainings.
    """
    order = TrainingOrder(study, trial, steps, seed, keep, datetime.now(UTC).isoformat(timespec="microseconds"))
    folder = TrainingFolder(root / f"{study}-{trial}-{uuid4().hex[:8]}")
    try:
        folder.write_order(order)
    except OSError as error:
        reason = f"cannot be written to: {error.strerror}; start the service with another --data"
        raise MapsearchError(f"{root}: {reason}") from None
    return folder.read()


def folders(root: Path) -> list[TrainingFolder]:
    """Every training, the oldest first."""
    found = [TrainingFolder(path.parent) for path in root.glob(f"*/{ORDER}")]
    return sorted(found, key=lambda folder: (folder.order.created_at, folder.id))


def folder_of(root: Path, training: str) -> TrainingFolder:
    """The folder of the training of that id.

    Raises:
        TrainingNotFound: there is none.
    """
    known = {folder.id: folder for folder in folders(root)}  # a look-up: no path is made of what a client sends
    if training not in known:
        raise TrainingNotFound(f"no training `{training}`")
    return known[training]


def file_of(folder: TrainingFolder, name: str) -> Path:
    """The file of that name that a training has written.

    Raises:
        TrainingNotFound: there is none.
    """
    known = {path.name: path for path in folder.files()}
    if name not in known:
        raise TrainingNotFound(f"training `{folder.id}` has no file `{name}`; files: {', '.join(known) or 'none yet'}")
    return known[name]


def stop(folder: TrainingFolder) -> Training:
    """Ask a training to stop as Ctrl-C would; the service's supervisor tells its process."""
    if folder.state() in ("queued", "running"):
        (folder.path / STOP).touch()
    return folder.read()


def resume(folder: TrainingFolder) -> Training:
    """Let a training that stopped or failed go on from its last checkpoint.

    Raises:
        TrainingBusy: it does not stand still.
    """
    with folder.lock() as mine:
        if mine is None or folder.state_at_rest() not in ("stopped", "failed"):
            raise TrainingBusy(f"training `{folder.id}` is neither stopped nor failed; only such a one is resumed")
        for name in (PROBLEM, STOP):
            (folder.path / name).unlink(missing_ok=True)
    return folder.read()


def remove(folder: TrainingFolder) -> Training:
    """Delete a training with all its files.

    Raises:
        TrainingBusy: it runs.
    """
    with folder.lock() as mine:
        if mine is None:
            raise TrainingBusy(f"training `{folder.id}` runs; stop it first")
        removed = Training(folder.id, folder.state_at_rest(), folder.order, (), None, None)
        (folder.path / ORDER).unlink()  # first, and with it nobody knows the training
        shutil.rmtree(folder.path, ignore_errors=True)
    return removed
