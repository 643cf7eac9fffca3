from collections import namedtuple

import pytest
import torch

from mapsearch.core.errors import TaskError
from mapsearch.tasks.nested import batch_size, copied, first_samples, form, tensors_of, to_device

X, Y = torch.randn(4, 3), torch.tensor([0, 1, -100, 1])


@pytest.mark.parametrize("batch", [X, (X, Y), {"x": X}, {"texts": ["a", "b"], "x": X}, {"n": torch.tensor(1), "x": X}])
def test_the_size_of_a_batch_is_that_of_its_first_tensor_with_axes(batch):
    assert batch_size(batch) == 4


@pytest.mark.parametrize("batch", [["a", "b"], {}, "text"])
def test_a_batch_without_a_tensor_is_refused(batch):
    with pytest.raises(TaskError, match=r"`collate\(\)` must return a batch with a tensor `\[B, ...\]`, but got"):
        batch_size(batch)


def test_tensors_are_found_however_deep():
    assert [t is X for t in tensors_of({"a": [X, (Y, "text")], "b": 1})] == [True, False]


def test_moving_to_a_device_keeps_the_structure():
    Sample = namedtuple("Sample", "x y")
    batch = {"pair": Sample(X, Y), "list": [X, "text"], "tuple": (X, 1)}
    moved = to_device(batch, torch.device("meta"))
    assert moved["pair"].x.device.type == moved["list"][0].device.type == moved["tuple"][0].device.type == "meta"
    assert isinstance(moved["pair"], Sample)
    assert isinstance(moved["list"], list)
    assert moved["list"][1] == "text"
    assert moved["tuple"][1] == 1


def test_the_first_samples_are_cut_from_every_tensor_that_holds_samples():
    batch = {"x": torch.arange(12).reshape(6, 2), "pair": (torch.arange(6), "text"), "vocabulary": torch.arange(3)}
    few = first_samples(batch, 2)
    assert few["x"].tolist() == [[0, 1], [2, 3]]
    assert few["pair"][0].tolist() == [0, 1]
    assert few["pair"][1] == "text"
    assert few["vocabulary"].tolist() == [0, 1, 2]


def test_batches_of_one_form_differ_in_their_numbers_alone():
    batch = {"x": X, "n": 3, "pair": (Y, None)}
    assert form(batch) == form(copied(batch)) == form({"x": X + 1, "n": 3, "pair": (Y, None)})
    others = ({**batch, "x": X[:2]}, {**batch, "n": 4}, {**batch, "pair": (Y.int(), None)}, {"x": X})
    assert form(batch) not in [form(other) for other in others]
