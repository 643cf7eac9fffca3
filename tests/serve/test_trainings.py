import subprocess
import sys

import pytest

from mapsearch.core.errors import MapsearchError, TrainingBusy, TrainingNotFound
from mapsearch.serve import trainings
from mapsearch.serve.training_folder import METRICS, PROBLEM

HOLD = "import fcntl, sys; f = open(sys.argv[1]); fcntl.flock(f, fcntl.LOCK_EX); print(flush=True); sys.stdin.read()"


@pytest.fixture
def root(tmp_path):
    return tmp_path / "trainings"


@pytest.fixture
def folder(root):
    return trainings.folder_of(root, trainings.queue(root, "tiny", 3, seed=5).id)


@pytest.fixture
def trains(folder):
    """A process has the lock of the training, as one that trains has."""
    command = [sys.executable, "-c", HOLD, str(folder.path / "lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        yield process
        process.kill()


def test_what_is_queued_is_listed_in_the_order_in_which_it_was_asked_for(root):
    assert trainings.folders(root) == []
    asked = [trainings.queue(root, "tiny", number) for number in (7, 3, 5)]
    assert [folder.read() for folder in trainings.folders(root)] == asked
    assert [(training.state, training.order.trial) for training in asked] == [
        ("queued", 7),
        ("queued", 3),
        ("queued", 5),
    ]


def test_a_training_goes_as_its_files_and_its_process_say(folder, trains):
    assert folder.read().state == "running"
    with pytest.raises(TrainingBusy, match="stop it first"):
        trainings.remove(folder)
    assert trainings.stop(folder).state == "running"  # until its process has ended
    trains.kill()
    trains.wait()
    assert folder.read().state == "stopped"
    assert trainings.resume(folder).state == "queued"
    (folder.path / PROBLEM).write_text("no room")
    assert (folder.read().state, folder.read().problem) == ("failed", "no room")
    assert trainings.resume(folder).state == "queued"
    folder.student.mkdir()
    (folder.student / METRICS).write_text('{"metrics": {"test": {"accuracy": 1.0}}, "teacher": {}}')
    told = folder.read().to_json()
    assert (told["state"], told["metrics"], told["seed"]) == ("complete", {"test": {"accuracy": 1.0}}, 5)
    assert trainings.stop(folder).state == "complete"
    with pytest.raises(TrainingBusy, match="neither stopped nor failed"):
        trainings.resume(folder)


def test_only_what_a_training_has_written_is_found(root, folder):
    folder.student.mkdir()
    (folder.student / "student.safetensors").write_bytes(b"weights")
    (folder.student / ".unfinished").touch()
    (folder.student / "link").symlink_to("/etc/passwd")
    assert [(file.name, file.n_bytes) for file in folder.read().files] == [("student.safetensors", 7)]
    assert trainings.file_of(folder, "student.safetensors").read_bytes() == b"weights"
    for name in ("", "..", "../order.json", "link", ".unfinished", "/etc/passwd", "a\0"):
        with pytest.raises(TrainingNotFound, match="has no file"):
            trainings.file_of(folder, name)
        with pytest.raises(TrainingNotFound, match="no training"):
            trainings.folder_of(root, name)


def test_what_is_removed_is_gone(root, folder):
    assert trainings.remove(folder).state == "queued"
    assert list(root.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(MapsearchError, match="--data"):
        trainings.queue(tmp_path / "file", "tiny", 3)
