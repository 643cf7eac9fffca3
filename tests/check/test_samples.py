import pytest
import torch
from findings import codes, message
from small_tasks import Clusters, load
from torch.utils.data import Dataset, TensorDataset

from mapsearch.check import check, samples
from mapsearch.check.samples import ClassScores, class_scores, named_tensors, read_samples
from mapsearch.tasks.default_losses import UNLABELLED


def replaced(data, i, x=None, y=None):
    """The data with another input or label at `i`."""
    inputs, labels = (tensor.clone() for tensor in data.tensors)
    if x is not None:
        inputs[i, 0, 0, 0] = x
    if y is not None:
        labels[i] = y
    return TensorDataset(inputs, labels)


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("name", ["train", "valid", "test"])
def test_a_value_that_is_not_finite_is_refused_with_its_index(vision, study, name, value):
    data = replaced(getattr(vision(), name), 23, x=value)
    report = check(vision(**{name: data}), study())
    assert "data.not_finite" in codes(report, "error")
    assert f"`{name}_data[23]`" in message(report, "data.not_finite")


@pytest.mark.parametrize("label", [3, 255, -1])
@pytest.mark.parametrize("name", ["train", "valid", "test"])
def test_a_label_that_is_no_class_is_refused_with_its_index(vision, study, name, label):
    data = replaced(getattr(vision(), name), 39, y=label)
    report = check(vision(**{name: data}), study())
    assert "data.label_range" in codes(report, "error")
    assert f"`{name}_data[39]`" in message(report, "data.label_range")
    assert f"label {label}" in message(report, "data.label_range")


def test_a_task_with_a_loss_and_metrics_of_its_own_may_have_labels_of_its_own(vision, study):
    def loss(self, output, batch):
        return torch.nn.functional.cross_entropy(output, batch[1], ignore_index=255)

    def metrics(self, output, batch):
        return {"accuracy": (output.argmax(-1) == batch[1]).float()}

    data = replaced(vision().train, 5, y=255)
    report = check(vision(train=data, loss=loss, metrics=metrics), study())
    assert "data.label_range" in codes(report, "warning")
    assert codes(report, "error") == []


def test_real_numbers_for_labels_make_the_outputs_values(vision, study):
    def loss(self, output, batch):
        return torch.nn.functional.mse_loss(output, batch[1])

    def metrics(self, output, batch):
        return {"mae": (output - batch[1]).abs().mean(1)}

    sets = {name: getattr(vision(), name).tensors[0] for name in ("train", "valid", "test")}
    data = {name: TensorDataset(x, torch.randn(len(x), 3)) for name, x in sets.items()}
    report = check(vision(loss=loss, metrics=metrics, **data), study(metric="mae", direction="minimize"))
    assert "values: labels are real numbers" in message(report, "outputs.kind")


def test_real_numbers_are_no_classes(vision, study):
    sets = {name: getattr(vision(), name).tensors[0] for name in ("train", "valid", "test")}
    data = {name: TensorDataset(x, torch.randn(len(x), 3)) for name, x in sets.items()}
    report = check(vision(**data), study(outputs="classes"))
    assert [finding.code for finding in report.errors].count("data.float_labels") == 1  # not for each data set
    assert "outputs: values" in message(report, "data.float_labels")


def test_a_label_that_is_neither_yes_nor_no_is_named_by_its_sample(vision, study):
    sets = {name: getattr(vision(), name).tensors[0] for name in ("train", "valid", "test")}
    data = {name: TensorDataset(x, (torch.randn(len(x), 3) > 0).float()) for name, x in sets.items()}
    data["valid"].tensors[1][7, 1] = 2.0
    report = check(vision(**data), study())
    assert "labels: " in message(report, "outputs.kind")
    said = message(report, "data.label_range")
    assert "`valid_data[7]` has label 2" in said
    assert "0, 1 or a share" in said


class Unreadable(Dataset):
    def __init__(self, data, error):
        self.data, self.error = data, error

    def __len__(self):
        return len(self.data)

    def __getitem__(self, i):
        if i == 17:
            raise self.error
        return self.data[i]


@pytest.mark.parametrize("error", [OSError("the disk is gone"), SystemExit(0)])
def test_a_sample_that_cannot_be_read_is_named(vision, study, error):
    data = Unreadable(vision().valid, error)
    report = check(vision(valid=data), study())
    assert "data.refused" in codes(report, "error")
    assert "`valid_data[17]`" in message(report, "data.refused")


class Counting(Dataset):
    """Says which samples were read."""

    def __init__(self, n):
        self.n, self.read = n, []

    def __len__(self):
        return self.n

    def __getitem__(self, i):
        self.read.append(i)
        return torch.full((8,), float(i)), 0


def test_large_data_is_read_once_at_samples_spread_over_it(monkeypatch):
    monkeypatch.setattr(samples, "MAX_SAMPLES_READ", 100)
    data = Counting(1000)
    seen = read_samples(load(Clusters()), data, None)
    assert data.read == list(range(0, 1000, 10))
    assert (seen.n_read, len(set(seen.digests)), seen.n_labels) == (100, 100, 100)


def test_how_many_were_read_is_said(vision, study, monkeypatch):
    monkeypatch.setattr(samples, "MAX_SAMPLES_READ", 50)
    assert "train_data 80 samples (50 of them read)" in message(check(vision(), study()), "data.sizes")


def test_unlabelled_is_a_label(vision):
    loaded = vision()
    seen = read_samples(loaded, replaced(loaded.train, 4, y=UNLABELLED), ClassScores(2, 3))
    assert (seen.n_labels, seen.n_unlabelled, seen.faults) == (80, 1, {})


def test_as_many_classes_as_samples_are_not_classes(vision, study):
    assert class_scores(vision(), study()) == ClassScores(2, 3)
    pairs = vision(logits=lambda self, output: output @ output.T)
    assert class_scores(pairs, study()) is None


def test_an_additive_mask_may_be_minus_infinity():
    names = dict(named_tensors({"a": torch.zeros(1), "pair": [torch.zeros(2), ("text", torch.zeros(3))]}))
    assert list(names) == ["`a`", "`pair[0]`", "`pair[1][1]`"]
    data = [{"attention_mask": torch.tensor([0.0, -torch.inf]), "labels": torch.tensor(0)}] * 8
    loaded = load(Clusters())
    assert read_samples(loaded, data, None).faults == {}
    data = [{"attention_mask": torch.tensor([0.0, torch.nan]), "labels": torch.tensor(0)}] * 8
    assert [i for i, _ in read_samples(loaded, data, None).faults["data.not_finite"]] == list(range(8))
