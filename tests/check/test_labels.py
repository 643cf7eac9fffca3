import torch
from findings import codes, message
from torch.utils.data import TensorDataset

from mapsearch.check import check


def test_items_that_nobody_looks_at_are_named(vision, study):
    x, y = vision().train.tensors
    report = check(vision(train=TensorDataset(x, y, y)), study())
    assert "3 items" in message(report, "outputs.more_items")
    assert "`Task.labels`" in message(report, "outputs.more_items")
    weighted = vision(train=TensorDataset(x, y, y), labels=lambda self, batch: batch[1])
    assert "outputs.more_items" not in codes(check(weighted, study()), "warning")


def test_marks_of_missing_values_are_numbers(vision, study):
    x, _ = vision().train.tensors
    marked = torch.randn(len(x), 3).masked_fill(torch.arange(len(x))[:, None] < 20, -100.0)
    report = check(vision(train=TensorDataset(x, marked)), study())
    assert "25%" in message(report, "outputs.values_unlabelled")
    assert "outputs.values_unlabelled" not in codes(check(vision(), study()), "warning")
