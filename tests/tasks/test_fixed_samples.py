import random

import pytest
import torch
from small_tasks import Clusters, Points, load
from torch.utils.data import TensorDataset

from mapsearch.tasks.fixed_samples import why_not_fixed


class Padded(Clusters):
    """Each batch is as long as its longest sample."""

    def collate(self, samples):
        batch = super().collate(samples)
        return batch[0][:, : 4 + int(batch[1][0])], batch[1]


class Rarely(Points):
    """Augments one look in two."""

    def __getitem__(self, i):
        x, y = super().__getitem__(i)
        return x + (random.random() < 0.5), y


class Sometimes(Clusters):
    def train_data(self):
        return Rarely(128, 1)


class Boxed(Clusters):
    def collate(self, samples):
        return [*super().collate(samples), object()]


@pytest.mark.parametrize(
    ("task", "why"),
    [
        (Clusters(), ""),
        (Clusters(jitter=0.1), "random augmentation"),
        (Sometimes(), "random augmentation"),
        (Padded(), "depend on the batch they come in"),
        (Boxed(), "content cannot be compared"),
    ],
)
def test_why_samples_are_not_fixed(task, why):
    found = why_not_fixed(load(task))
    assert (why in found) if why else (found == "")


def test_a_small_data_set_is_looked_at_whole():
    class Few(Clusters):
        def train_data(self):
            return TensorDataset(torch.randn(9, 8), torch.arange(9) % 3)

    assert why_not_fixed(load(Few())) == ""
