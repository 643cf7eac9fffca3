import re

import pytest
import torch
from small_tasks import Clusters, Points, load
from torch.utils.data import (
    DataLoader,
    Dataset,
    DistributedSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
    default_collate,
)

from mapsearch.core.errors import TaskError
from mapsearch.tasks.loaders import is_stream
from mapsearch.tasks.training_batches import train_batches


def doubled(samples):
    x, y = default_collate(samples)
    return 2 * x, y


class Loaded(Clusters):
    """Its data come as loaders."""

    def __init__(self, **options):
        super().__init__()
        self.options = options

    def train_data(self):
        return DataLoader(super().train_data(), **({"batch_size": 5, "shuffle": True} | self.options))

    def valid_data(self):
        return DataLoader(super().valid_data(), batch_size=7, collate_fn=doubled)


def batches(loaded, n=20):
    return list(train_batches(loaded, 16, 3, n))


def assert_equal_batches(ones, others):
    for one, other in zip(ones, others, strict=True):
        assert all(map(torch.equal, one, other))


def test_a_loader_gives_the_batches_of_its_dataset():
    assert_equal_batches(batches(load(Loaded())), batches(load(Clusters())))


def test_a_loader_collates_its_own_samples_as_it_does():
    loaded, plain = load(Loaded()), load(Clusters())
    x, _ = loaded.collate(loaded.valid, [plain.valid[i] for i in range(4)])
    assert torch.equal(x, 2 * plain.valid.x[:4])
    assert_equal_batches(batches(load(Loaded(collate_fn=doubled)), 1), [doubled([*zip(*batches(plain, 1)[0])])])  # noqa: B905


def test_half_of_a_loaders_samples_are_collated_by_it_and_named_by_their_place():
    class Halved(Loaded):
        def test_data(self):
            return None

    loaded = load(Halved())
    assert loaded.collate(loaded.test, [(torch.ones(8), torch.tensor(1))] * 2)[0].unique().tolist() == [2]
    assert loaded.sample_name(loaded.test, 3) == "`valid_data[7]`"


def test_the_weights_of_a_sampler_are_those_of_the_samples():
    weights = torch.zeros(128)
    weights[[4, 9]] = 1.0
    loaded = load(Loaded(sampler=WeightedRandomSampler(weights, 128), shuffle=False))
    assert torch.equal(loaded.weights, weights.double())
    seen = torch.cat([x for x, _ in batches(loaded)]).unique(dim=0)
    assert torch.equal(seen, loaded.train.dataset.x[[4, 9]].unique(dim=0))


def test_the_indices_of_a_sampler_are_the_samples():
    loaded = load(Loaded(sampler=SubsetRandomSampler(range(100, 120)), shuffle=False))
    assert len(loaded.train) == 20
    assert loaded.sample_name(loaded.train, 3) == "`train_data[103]`"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "not its batch size"),
        ({"sampler": SubsetRandomSampler(range(100)), "shuffle": False}, "indices of its sampler.*not its batch size"),
        ({"sampler": WeightedRandomSampler([1.0] * 128, 9), "shuffle": False}, "the weights.*not its batch size"),
        ({"sampler": DistributedSampler(Points(128, 1), 2, 0), "shuffle": False}, "not its DistributedSampler"),
        ({"batch_sampler": [[0, 1], [2, 3]], "batch_size": 1, "shuffle": False}, "not its list and batch size"),
    ],
)
def test_what_is_not_used_is_said(options, said):
    messages = " ".join(message.text for message in load(Loaded(**options)).messages)
    assert re.search(said, messages)


def test_a_loader_of_ready_batches_is_refused():
    with pytest.raises(TaskError, match=r"single samples.*`batch_size=None`"):
        load(Loaded(batch_size=None, shuffle=False))


class Counted(Dataset):
    def __len__(self):
        return 9

    def __getitem__(self, i):
        return i


@pytest.mark.parametrize(
    ("data", "is_one"),
    [([1, 2], False), (Counted(), False), (DataLoader(Counted()), False), (iter([1]), True), ((i for i in "ab"), True),
     (5, False)],
)  # fmt: skip
def test_what_is_a_stream(data, is_one):
    assert is_stream(data) is is_one
