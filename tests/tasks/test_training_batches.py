import os
import random

import numpy as np
import pytest
import torch
from numbers_task import Numbers, loaded, order
from torch import nn
from torch.utils.data import Dataset, IterableDataset

from mapsearch.tasks.loaded_task import LoadedTask
from mapsearch.tasks.streams import Stream
from mapsearch.tasks.training_batches import drawn_batches, train_batches, train_order


def test_one_seed_is_one_order():
    assert order(train_batches(loaded(), 6, 3, 9)) == order(train_batches(loaded(), 6, 3, 9))
    assert order(train_batches(loaded(), 6, 3, 9)) != order(train_batches(loaded(), 6, 4, 9))


def test_the_order_does_not_depend_on_what_was_drawn_meanwhile():
    calm, disturbed = train_batches(loaded(), 6, 3, 9), train_batches(loaded(), 6, 3, 9)
    for x, _ in calm:
        torch.rand(7)
        assert torch.equal(x, next(disturbed)[0])


def test_augmentation_depends_on_the_seed_alone():
    class Noisy(Dataset):
        def __len__(self):
            return 20

        def __getitem__(self, i):
            return torch.rand(1), i

    def drawn():
        for x, _ in train_batches(loaded(data=Noisy()), 6, 3, 5):
            torch.rand(5)
            yield x.flatten().tolist()

    assert list(drawn()) == list(drawn())


def test_every_epoch_shows_each_sample_at_most_once_and_leaves_out_a_part_batch():
    batches = order(train_batches(loaded(), 6, 0, 6))
    assert [len(batch) for batch in batches] == [6] * 6
    for epoch in (batches[:3], batches[3:]):
        assert len({i for batch in epoch for i in batch}) == 18


def test_a_batch_larger_than_the_data_is_all_of_it():
    assert [sorted(batch) for batch in order(train_batches(loaded(), 50, 0, 2))] == [list(range(20))] * 2


def test_the_order_says_which_samples_the_batches_hold():
    said = list(train_order(20, 6, seed=3, n_steps=7))
    assert said == order(train_batches(loaded(), 6, 3, 7))
    epochs = [[i for batch in said[first : first + 3] for i in batch] for first in (0, 3)]
    assert [len(set(epoch)) for epoch in epochs] == [18, 18]
    assert epochs[0] != epochs[1]
    assert [len(batch) for batch in train_order(4, 6, seed=0, n_steps=2)] == [4, 4]


def test_samples_are_drawn_in_proportion_to_their_weights():
    weights = torch.tensor([0.0, 1.0, 3.0, 0.0], dtype=torch.float64)
    drawn = torch.tensor([i for batch in train_order(4, 4, 0, 2000, weights) for i in batch])
    shares = drawn.bincount(minlength=4) / len(drawn)
    assert shares[[0, 3]].tolist() == [0, 0]
    assert shares[2] == pytest.approx(0.75, abs=0.02)
    assert list(train_order(4, 4, 0, 9, weights)) == list(train_order(4, 4, 0, 2000, weights))[:9]
    assert list(train_order(4, 4, 0, 9, weights)) != list(train_order(4, 4, 1, 9, weights))


def test_parts_make_up_the_batch():
    whole, parts = (next(iter(drawn_batches(loaded(), 7, 3, 2, n))) for n in (1, 3))
    assert sum((part.chosen for part in parts), ()) == whole[0].chosen
    assert torch.equal(torch.cat([part.batch[0] for part in parts]), whole[0].batch[0])
    assert [part.n for part in parts] == [2, 2, 3]


class Augmented(Dataset):
    """Draws from every generator."""

    def __len__(self):
        return 20

    def __getitem__(self, i):
        return torch.tensor([i, torch.rand(()), random.random(), np.random.random()]), "text", {"process": os.getpid()}


def with_workers(n, data):
    task = Numbers()
    return LoadedTask(task, nn.Identity(), data, data, data, torch.device("cpu"), loader_workers=n)


class Streamed(IterableDataset):
    def __iter__(self):
        return (Augmented()[i] for i in random.sample(range(20), 20))


@pytest.mark.parametrize("make", [Augmented, lambda: Stream(Streamed)])
def test_batches_are_the_same_bit_for_bit_whatever_process_loads_them(make):
    here, ahead = (list(drawn_batches(with_workers(n, make()), 6, 3, 9, 2)) for n in (0, 2))
    for one, other in zip(here, ahead, strict=True):
        for part, same in zip(one, other, strict=True):
            assert (part.n, part.chosen) == (same.n, same.chosen)
            assert torch.equal(part.batch[0], same.batch[0])
            assert part.batch[1] == same.batch[1]
            assert os.getpid() in part.batch[2]["process"]
            assert os.getpid() not in same.batch[2]["process"]
