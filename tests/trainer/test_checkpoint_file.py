"""Checkpoints are whole or not there, are of this training, and hold nothing that runs when they are read."""

import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from mapsearch.core.errors import TrainingChanged, TrainingFailed
from mapsearch.trainer.checkpoint_file import CheckpointFile

STATE = {"step": 3, "weights": {"x": torch.arange(4.0)}, "names": ("a", "b"), "nothing": None}


@pytest.fixture
def file(tmp_path):
    (tmp_path / "out").mkdir()
    return CheckpointFile(tmp_path / "out", {"seed": 1, "steps": 10})


def test_what_was_written_last_comes_back(file):
    assert file.read() is None
    file.write({"step": 1})
    file.write(STATE)
    found = file.read()
    assert torch.equal(found["weights"]["x"], STATE["weights"]["x"])
    assert {**found, "weights": None} == {**STATE, "weights": None}
    assert [path.name for path in file.folder.iterdir()] == ["checkpoint.pt"]
    file.remove()
    assert file.read() is None


def test_the_checkpoint_of_another_training_is_refused(file):
    file.write(STATE)
    with pytest.raises(TrainingChanged, match=r"holds another training \(`steps`: 10 -> 20\); choose another -o"):
        CheckpointFile(file.folder, {"seed": 1, "steps": 20}).read()


class Malicious:
    def __reduce__(self):
        return Path.touch, (Path("ran.txt"),)


@pytest.mark.parametrize("content", [b"", b"no checkpoint", pickle.dumps({"identity": {}, "state": Malicious()}, 2)])
def test_what_is_no_checkpoint_is_refused_and_never_run(content, file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file.path.write_bytes(content)
    with pytest.raises(TrainingFailed, match=r"checkpoint\.pt is not a checkpoint: .*; delete it to begin anew"):
        file.read()
    torch.save({"identity": file.identity, "state": Malicious()}, file.path)
    with pytest.raises(TrainingFailed, match="is not a checkpoint"):
        file.read()
    assert not (tmp_path / "ran.txt").exists()


def test_a_lost_folder_is_said_and_nothing_is_lost(file, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    shutil.rmtree(file.folder)
    with pytest.raises(TrainingFailed, match=r"No such file or directory; it lies in .*: move it to"):
        file.write(STATE)
    (rescued,) = tmp_path.glob("mapsearch-train-*/checkpoint.pt")
    file.folder.mkdir()
    rescued.rename(file.path)
    assert file.read()["step"] == 3


FULL_DISK = """
import resource, signal, sys, torch
from pathlib import Path
from mapsearch.core.errors import TrainingFailed
from mapsearch.trainer.checkpoint_file import CheckpointFile
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
file = CheckpointFile(Path(sys.argv[1]), {"seed": 1})
file.write({"step": 1, "weights": torch.zeros(10)})
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
try:
    file.write({"step": 2, "weights": torch.zeros(100_000)})
except TrainingFailed as error:
    print(error)
print(file.read()["step"], [path.name for path in file.folder.iterdir()])
"""


def test_a_full_disk_is_said_and_the_checkpoint_before_stays(tmp_path):
    command = [sys.executable, "-W", "error", "-c", FULL_DISK, str(tmp_path)]
    said, left = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    assert "File too large" in said
    assert "make room, then run the same command again, which goes on from" in said
    assert left == "1 ['checkpoint.pt']"
