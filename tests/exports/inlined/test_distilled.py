"""What exported scripts take of a task: its samples, however it gives them, and a folder for what it keeps."""

import pytest
import torch
from small_tasks import Clusters, Points
from torch.utils.data import DataLoader, IterableDataset, SubsetRandomSampler

from mapsearch.exports.inlined.distilled import drawn, open_task

TASK = """
import mapsearch

class Kept(mapsearch.Task):
    def __init__(self, n):
        (self.cache_dir / "kept").write_text(str(n))

    def teacher(self): ...
    def student(self): ...
    def train_data(self): ...
    def valid_data(self): ...
"""


class Read(IterableDataset):
    def __iter__(self):
        yield from Points(8, 1)


def task_with(data):
    task = Clusters()
    task.train_data = data
    return task


def together(samples):
    return torch.stack([x for x, _ in samples])


def test_another_parameter_is_no_seed():
    data, _ = drawn(task_with(lambda n=16: Points(n, 0)), 7)
    assert len(data) == 16


def test_samples_are_those_of_the_seed():
    data, collate = drawn(task_with(lambda seed: Points(16, seed)), 7)
    assert torch.equal(data.x, Points(16, 7).x)
    assert collate([data[0], data[1]])[0].shape == (2, len(data.x[0]))


@pytest.mark.parametrize(
    ("loader", "n", "collation"),
    [
        (lambda: DataLoader(Points(16, 1), 4), 16, None),
        (lambda: DataLoader(Points(16, 1), 4, sampler=SubsetRandomSampler([3, 5]), collate_fn=together), 2, together),
    ],
)
def test_a_loader_is_taken_apart(loader, n, collation):
    task = task_with(loader)
    data, collate = drawn(task, 0)
    assert len(data) == n
    assert collate == (collation or task.collate)
    assert all(torch.equal(data[i][0], Points(16, 1)[at][0]) for i, at in enumerate([3, 5])) or n == 16


@pytest.mark.parametrize("stream", [Read, lambda: DataLoader(Read(), 4), lambda: iter(Points(8, 1))])
def test_a_stream_is_refused_with_a_way_out(stream):
    with pytest.raises(TypeError, match=r"stream.*mapsearch train"):
        drawn(task_with(stream), 0)


def test_a_task_has_its_folder_before_it_is_made(tmp_path):
    (tmp_path / "kept_task.py").write_text(TASK)
    task = open_task(tmp_path, "kept_task.py:Kept", {"n": 3}, {"kind": "classes"}, cache_dir=tmp_path / "out" / "cache")
    assert task.output_form.kind == "classes"
    assert (tmp_path / "out" / "cache" / "kept").read_text() == "3"
