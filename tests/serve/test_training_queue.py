"""Trainings as processes of their own: they outlive the service, stop with a checkpoint, and go on."""

import pytest
from safetensors.torch import load_file

from mapsearch.serve import trainings
from mapsearch.serve.training_queue import TrainingQueue


@pytest.fixture
def queue(tmp_path, finished):
    """`queue(steps)` -> (the folder of a training of the finished study, its root)"""

    def ask(steps=None, study="tiny"):
        root = tmp_path / "trainings"
        return trainings.folder_of(root, trainings.queue(root, study, 0, steps=steps).id), root

    return ask


def test_a_training_that_was_started_is_known_to_the_next_service(queue, finished, eventually):
    folder, root = queue()
    first, second = TrainingQueue(root), TrainingQueue(root)
    first.look(0, finished[1])
    assert folder.read().state == "queued"
    first.look(1, finished[1])
    assert (folder.read().state, second.n_running()) == ("running", 1)
    second.look(1, finished[1])  # has nothing to start
    eventually(lambda: folder.read().state == "complete", seconds=200)
    assert {"student.safetensors", "metrics.json", "README.md", "recipe.yaml"} <= {
        file.name for file in folder.read().files
    }
    assert load_file(folder.student / "student.safetensors")
    assert folder.read().to_json()["metrics"]["test"]["accuracy"] > 0.5
    first.look(1, finished[1])
    assert (folder.read().state, folder.read().problem) == ("complete", None)


@pytest.mark.slow
def test_a_training_stops_with_a_checkpoint_and_goes_on(queue, finished, eventually):
    folder, root = queue(steps=200_000)
    checkpoint = folder.student / "checkpoint.pt"
    service = TrainingQueue(root)

    def stop_it():
        trainings.stop(folder)
        service.look(0, finished[1])
        eventually(lambda: folder.read().state == "stopped", seconds=200)

    service.look(1, finished[1])
    eventually(checkpoint.exists, seconds=200)
    stop_it()
    kept = checkpoint.stat().st_mtime_ns
    trainings.resume(folder)  # before the service has seen that the process ended

    def has_gone_on():
        service.look(1, finished[1])
        return checkpoint.stat().st_mtime_ns > kept

    eventually(has_gone_on, seconds=200)
    stop_it()

    def has_seen_the_end():
        service.look(0, finished[1])
        return not service._children

    eventually(has_seen_the_end)


@pytest.mark.slow
def test_a_training_that_fails_says_why(queue, finished, eventually):
    folder, root = queue(study="gone")
    service = TrainingQueue(root)

    def has_failed():
        service.look(1, finished[1])
        return folder.read().state == "failed"

    eventually(has_failed, seconds=200)
    assert "no study `gone`" in folder.read().problem
