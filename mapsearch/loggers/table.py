"""The trackers by name, each imported when it is asked for."""

import importlib
from pathlib import Path
from typing import Literal

from mapsearch.core.errors import MapsearchError
from mapsearch.loggers.logger import Logger

Tracker = Literal["tensorboard", "wandb", "mlflow"]

_CLASSES = {"tensorboard": "TensorBoard", "wandb": "WeightsAndBiases", "mlflow": "MLflow"}


def open_logger(tracker: Tracker, study: str, folder: Path | str | None = None) -> Logger:
    """An `on_event` hook that writes into a tracker; close it, or use it in a `with` statement.

    Args:
        study: what the run is called there.
        folder: where the tracker writes: TensorBoard to `runs/STUDY` unless it is given, the others where they do.

    Raises:
        MapsearchError: the tracker is unknown, or not installed.
    """
    if tracker not in _CLASSES:
        raise MapsearchError(f"a tracker must be one of {', '.join(_CLASSES)}, but got `{tracker}`")
    try:
        module = importlib.import_module(f"mapsearch.loggers.{tracker}")
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("mapsearch"):
            raise
        raise MapsearchError(
            f"`{tracker}` needs `{error.name}`, which is not installed; `pip install 'mapsearch[{tracker}]'`"
        ) from None
    return Logger(getattr(module, _CLASSES[tracker])(study, None if folder is None else Path(folder)))
