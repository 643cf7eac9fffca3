"""Two processes, each with half of every batch, train the student that one process trains."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file

from mapsearch.api.exports import export
from mapsearch.api.queries import read
from mapsearch.api.training import train_updates
from mapsearch.core.errors import TrainingFailed
from mapsearch.trainer import accelerated
from mapsearch.trainer.accelerated import open_processes
from mapsearch.training.processes import ALONE

ROOT = Path(__file__).parents[2]


@pytest.fixture
def recipe(finished, tmp_path):
    """A recipe with features whose loss is a mean over samples: parts of a batch add up to the whole."""
    trials, runs = read("tiny", finished[1])[1:]
    complete = {run.trial for run in runs if run.state == "complete"}
    number = next(t.number for t in trials if t.recipe.mapping.pairs and t.number in complete)
    path = finished[0].parent / f"{tmp_path.name}.yaml"  # beside the task
    export("tiny", "mapsearch", path, trial=number, storage=finished[1])
    data = yaml.safe_load(path.read_text())
    data["recipe"]["loss"], data["recipe"]["share_of"] = "mse", "loss"
    path.write_text(yaml.safe_dump(data))
    return path


SCRIPT = """
import sys
from mapsearch.cli.main import cli

recipe, output, *options = sys.argv[1:]
for name, more in (("two", []), ("parts", ["--shard"])):
    cli.main(["train", recipe, "-o", f"{output}/{name}", *options, *more], standalone_mode=False)
"""


@pytest.fixture
def together(recipe, finished, tmp_path):
    """Two processes that trained the students `two` and `parts`, one after the other: starting takes longest."""
    (script := tmp_path / "script.py").write_text(SCRIPT)
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = [*launcher, script, recipe, tmp_path, "--device", "cpu", "--storage", finished[1]]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, *map(str, command)], env=environment, capture_output=True, text=True, timeout=200
    )


def test_two_processes_have_the_losses_of_one_with_the_doubled_batch(recipe, finished, tmp_path, together):
    *_, alone = train_updates(recipe, output=tmp_path / "alone", device="cpu", storage=finished[1])
    assert together.returncode == 0, together.stderr
    weights = load_file(tmp_path / "alone" / "student.safetensors")
    for name in ("two", "parts"):
        report = json.loads((tmp_path / name / "metrics.json").read_text())
        assert [step for step, _ in report["curve"]] == [step for step, _ in alone.curve]
        assert [loss for _, loss in report["curve"]] == pytest.approx([loss for _, loss in alone.curve], rel=1e-4)
        assert report["first_loss"] == pytest.approx(alone.first_loss, rel=1e-5)
        for layer, weight in load_file(tmp_path / name / "student.safetensors").items():
            torch.testing.assert_close(weight, weights[layer], rtol=1e-3, atol=1e-4)
    assert together.stdout.count("valid: accuracy") == 2, "one of them speaks"


def test_a_process_started_as_usual_is_alone(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert open_processes("cpu") == (ALONE, "cpu")


def test_several_without_accelerate_say_what_is_missing(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr(accelerated, "find_spec", lambda name: None)
    with pytest.raises(TrainingFailed, match=r"need `accelerate`, .*mapsearch\[train\]"):
        open_processes("cpu")


def test_one_alone_has_nothing_to_share(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with pytest.raises(TrainingFailed, match=r"`shard` .* there is one; .* `torchrun`"):
        open_processes("cpu", shards=True)
