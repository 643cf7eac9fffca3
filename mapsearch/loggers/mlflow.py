"""MLflow: a run of the experiment `mapsearch` at the tracking URI that MLflow is set to."""

import re
import time
from pathlib import Path

import mlflow
from mlflow.entities import Metric

LONGEST_NAME = 250
"""Characters that MLflow takes in the name of a metric."""


class MLflow:
    """A run that is named as the study or the training.

    Args:
        folder: where MLflow keeps its database; None goes where `MLFLOW_TRACKING_URI` says, or MLflow by default.
    """

    def __init__(self, study: str, folder: Path | None = None) -> None:
        uri = None if folder is None else f"sqlite:///{folder.resolve() / 'mlflow.db'}"
        self._client = mlflow.MlflowClient(tracking_uri=uri)
        known = self._client.get_experiment_by_name("mapsearch")
        experiment = known.experiment_id if known else self._client.create_experiment("mapsearch")
        self._run = self._client.create_run(experiment, run_name=study).info.run_id

    def numbers(self, axis: str, step: int, values: dict[str, float]) -> None:
        """Log numbers by name at that step; what MLflow does not take in a name is written as dashes."""
        now = round(time.time() * 1000)
        metrics = [Metric(_name(name), value, now, step) for name, value in values.items()]
        self._client.log_batch(self._run, metrics)

    def text(self, name: str, text: str) -> None:
        """The verdict becomes the description of the run; messages are for those who watch."""
        if name == "verdict":
            self._client.set_tag(self._run, "mlflow.note.content", text)

    def close(self) -> None:
        """Say that the run has ended."""
        self._client.set_terminated(self._run)


def _name(name: str) -> str:
    return re.sub(r"[^\w./ -]+", "-", name)[:LONGEST_NAME]
