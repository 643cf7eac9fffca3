import random

import pytest
import torch
from small_tasks import Clusters, Points, load
from torch.utils.data import TensorDataset

from mapsearch.tasks.sample_digests import row_digests, why_not_fixed

X, Y = torch.randn(6, 3), torch.arange(6)


def test_digests_belong_to_samples_wherever_they_stand():
    order = torch.tensor([3, 0, 5])
    assert torch.equal(row_digests((X, Y))[order], row_digests((X[order], Y[order])))
    assert len(set(row_digests((X, Y)).tolist())) == 6
    assert not (row_digests((X, Y)) == 0).any()


def test_the_smallest_difference_anywhere_in_a_sample_shows_and_no_other():
    before = row_digests({"ids": X, "more": {"labels": Y}})
    x = X.clone()
    x[2, 1] = torch.nextafter(x[2, 1], torch.tensor(9.0))
    changed = row_digests({"ids": x, "more": {"labels": Y}}) != before
    assert changed.tolist() == [False, False, True, False, False, False]


@pytest.mark.parametrize(
    "other",
    [(X.double(), Y), (X.view(6, 1, 3), Y), (torch.cat([X, torch.zeros(6, 1)], 1), Y), (X, Y, 0.5), (X, Y, "mixed"),
     (X, Y, torch.tensor(0.5))],
)  # fmt: skip
def test_type_shape_and_what_all_samples_share_count(other):
    assert not (row_digests(other) == row_digests((X, Y))).any()


def test_objects_that_cannot_be_read_give_no_digest():
    assert row_digests((X, Y, object())) is None


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
