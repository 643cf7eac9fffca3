import os
from dataclasses import replace

import pytest
import torch
from small_tasks import Clusters, load
from torch.utils.data import Dataset

from mapsearch.core.errors import TaskError
from mapsearch.core.train_spec import TrainSpec
from mapsearch.tasks.batches import measured_batches
from mapsearch.tasks.evaluation import evaluate
from mapsearch.tasks.loading_ahead import FEWEST_BATCHES
from mapsearch.tasks.training_batches import drawn_batches


class Processes(Dataset):
    """Samples that know the process that read them."""

    def __len__(self):
        return 64

    def __getitem__(self, i):
        return i, os.getpid()


class Broken(Dataset):
    def __len__(self):
        return 64

    def __getitem__(self, i):
        if i == 13:
            raise ValueError("not a picture")
        return torch.zeros(1), 0


def ahead(n_workers, **parts):
    return replace(load(Clusters()), loader_workers=n_workers, **parts)


@pytest.mark.parametrize("n_workers", [0, 2])
def test_as_many_processes_load_as_are_asked_for(n_workers):
    loaded = ahead(n_workers)
    batches = list(measured_batches(loaded, Processes(), 6))
    assert torch.cat([ids for ids, _ in batches]).tolist() == list(range(64))
    processes = {int(pid) for _, pids in batches for pid in pids}
    assert len(processes) == max(1, n_workers)
    assert (os.getpid() in processes) == (not n_workers)


def test_few_batches_are_loaded_where_they_are_needed():
    size = 64 // (FEWEST_BATCHES - 1) + 1
    assert {int(pid) for _, pids in measured_batches(ahead(2), Processes(), size) for pid in pids} == {os.getpid()}


@pytest.mark.parametrize("n_workers", [0, 2])
@pytest.mark.parametrize(
    ("name", "batches"),
    [
        ("train", lambda loaded: drawn_batches(loaded, 6, 3, 20)),
        ("valid", lambda loaded: measured_batches(loaded, loaded.valid, 6)),
    ],
)
def test_a_sample_that_cannot_be_read_is_named_by_whatever_process(n_workers, name, batches):
    loaded = ahead(n_workers, **{name: Broken()})
    with pytest.raises(TaskError, match=rf"`{name}_data\[13\]`.*not a picture.*test_loading_ahead.py:"):
        list(batches(loaded))


def test_networks_are_measured_the_same_whatever_process_loads():
    train = TrainSpec(batch_size=4, eval_batch_size=4)
    here, there = (evaluate(x, [x.new_student(1)], x.valid, train) for x in (ahead(0), ahead(2)))
    assert here == there
