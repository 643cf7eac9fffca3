"""Weights & Biases, offline, and MLflow, in a folder: what a study and a training log is read back."""

import pytest

import mapsearch
from mapsearch.cli.logged import logged
from mapsearch.core.events import Message, Progress, Standing
from mapsearch.core.recipe import Recipe
from mapsearch.core.trained import Validation
from mapsearch.core.trials import Trial
from mapsearch.core.verdict import Question, Verdict

pytestmark = pytest.mark.frameworks

ASKED = Question("none", outcome="BEATS", difference=0.125, low=0.0625, high=0.1875, n_seeds=6)
EVENTS = (
    Message("search", "begins"),
    Standing(3, 10, 1.5, 60.0),
    Trial(7, "curve", Recipe(), value=0.75, state="complete"),
    Trial(8, "curve", Recipe(), value=0.5, state="complete"),
    Verdict("use it", 7, 7, None, (), questions=(ASKED,)),
    Progress((7, 2, 1), 1, 20, 20, 1.5, {"1.0@maps[0] <- 1.1 + 1.2": 0.5}),
    Validation(20, {"recall@5": 0.25}),
)


def test_mlflow_keeps_every_number_at_its_step(tmp_path):
    from mlflow import MlflowClient

    with mapsearch.open_logger("mlflow", "tiny", tmp_path) as log:
        for event in EVENTS:
            log(event)
    client = MlflowClient(tracking_uri=f"sqlite:///{tmp_path / 'mlflow.db'}")
    (run,) = client.search_runs([client.get_experiment_by_name("mapsearch").experiment_id])
    logged = client.get_metric_history(run.info.run_id, "trials/value")
    assert [(one.step, one.value) for one in logged] == [(7, 0.75), (8, 0.5)]
    assert run.data.metrics["verdict/against_none"] == 0.125
    assert client.get_metric_history(run.info.run_id, "train/1.0-maps-0- -- 1.1 - 1.2")[0].step == 20
    assert run.data.metrics["valid/recall-5"] == 0.25
    assert (run.info.run_name, run.info.status) == ("tiny", "FINISHED")
    assert run.data.tags["mlflow.note.content"] == "use it"


def test_several_trackers_are_told_the_same(tmp_path, monkeypatch):
    from mlflow import MlflowClient

    monkeypatch.setenv("WANDB_MODE", "offline")
    assert tuple(logged(iter(EVENTS), "tiny", ("mlflow", "wandb", "mlflow"), tmp_path)) == EVENTS
    client = MlflowClient(tracking_uri=f"sqlite:///{tmp_path / 'mlflow.db'}")
    (run,) = client.search_runs([client.get_experiment_by_name("mapsearch").experiment_id])
    assert run.data.metrics["train/loss"] == 1.5
    assert len([*tmp_path.glob("wandb/offline-run-*")]) == 1


def test_wandb_writes_a_run_without_a_network(tmp_path, monkeypatch):
    import wandb

    monkeypatch.setenv("WANDB_MODE", "offline")
    with mapsearch.open_logger("wandb", "tiny", tmp_path) as log:
        for event in EVENTS:
            log(event)
    wandb.teardown()  # its own process writes the file
    (file,) = tmp_path.glob("wandb/offline-run-*/run-*.wandb")
    written = file.read_bytes()
    assert all(text in written for text in (b"trials/value", b"verdict/against_none", b"use it", b"<- 1.1 + 1.2"))
