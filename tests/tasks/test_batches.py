import pytest
import torch
from numbers_task import loaded, order
from torch.utils.data import Dataset

from mapsearch.core.errors import TaskError
from mapsearch.tasks.batches import ordered_batches


def test_ordered_batches_show_all_in_order():
    assert sum(order(ordered_batches(loaded(), loaded().valid, 6)), []) == list(range(20))  # noqa: RUF017


def test_a_limit_spreads_samples_over_all_of_the_data():
    assert order(ordered_batches(loaded(), loaded().valid, 3, limit=5)) == [[0, 4, 8], [12, 16]]


def test_dict_batches_are_collated():
    class Dicts(Dataset):
        def __len__(self):
            return 20

        def __getitem__(self, i):
            return {"x": torch.full((2,), float(i)), "labels": i % 2}

    first = next(ordered_batches(loaded(data=Dicts()), Dicts(), 4))
    assert first["x"].shape == (4, 2)
    assert first["labels"].tolist() == [0, 1, 0, 1]


def test_samples_are_fetched_at_once_where_the_data_can():
    class Fetched(Dataset):
        def __len__(self):
            return 20

        def __getitems__(self, chosen):
            return [(torch.tensor([float(i)]), i) for i in chosen]

    assert order(ordered_batches(loaded(data=Fetched()), Fetched(), 20)) == [list(range(20))]


class Broken(Dataset):
    def __len__(self):
        return 20

    def __getitem__(self, i):
        if i == 13:
            raise SystemExit(0) if self.leaves else ValueError("not a picture")
        return torch.zeros(1), 0


@pytest.mark.parametrize("leaves", [False, True])
def test_a_sample_that_cannot_be_read_is_named(leaves):
    data = Broken()
    data.leaves = leaves
    with pytest.raises(TaskError, match=r"`train_data\[13\]`.*test_batches.py:"):
        list(ordered_batches(loaded(data=data), data, 4))
