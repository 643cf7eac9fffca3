from types import SimpleNamespace

import pytest
import torch
from small_tasks import Clusters

from mapsearch.tasks.labels import integer_labels, is_classes, labels_of, outside_classes

X = torch.zeros(2, 5)


def test_labels_are_integers_or_none():
    assert integer_labels(Clusters(), (X, torch.tensor([1, 2]))).tolist() == [1, 2]
    assert integer_labels(Clusters(), (X, torch.tensor([1.0, 2.0]))) is None
    assert integer_labels(Clusters(), SimpleNamespace()) is None
    assert labels_of(Clusters(), (X, torch.tensor([1.0, 2.0]))).tolist() == [1.0, 2.0]
    assert labels_of(Clusters(), (X, ["a", "b"])) is None


@pytest.mark.parametrize(("n_classes", "expected"), [(3, [0, 1, 0, 1]), (None, [0, 1, 0, 0])])
def test_labels_outside_the_classes(n_classes, expected):
    assert outside_classes(torch.tensor([2, -1, -100, 3]), n_classes).int().tolist() == expected


@pytest.mark.parametrize(
    ("labels", "n_axes", "expected"),
    [
        (torch.tensor([0.0, 2.0, -100.0]), 2, True),  # classes as floats
        (torch.tensor([0.5, 2.0]), 2, False),
        (torch.tensor([0.0, 3.0]), 2, False),
        (torch.tensor([[0.2, 0.3, 0.5], [1.0, 0.0, 0.0]]), 2, True),  # soft classes
        (torch.tensor([[0.0, 1.0, 1.0]]), 2, False),  # several yes-or-no answers
        (torch.tensor([[0.0, 1.0, 1.0]]), 3, True),  # the same, each with two scores or more
        (torch.randn(2, 2) + 3, 2, False),  # real numbers
    ],
)
def test_float_labels_that_are_classes_all_the_same(labels, n_axes, expected):
    assert is_classes(labels, n_axes, 3) is expected
