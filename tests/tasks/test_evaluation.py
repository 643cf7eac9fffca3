import math
from collections import OrderedDict

import pytest
import torch
from small_tasks import Clusters, Points, load
from torch import nn
from torch.utils.data import TensorDataset

from mapsearch.core.errors import TaskError
from mapsearch.core.train_spec import TrainSpec
from mapsearch.tasks.evaluation import evaluate
from mapsearch.tasks.loaded_task import LoadedTask


def batches_of(size, precision="float32"):
    return TrainSpec(batch_size=size, precision=precision)


class Numbers(Clusters):
    """Samples are their own index, and so is the output; batches of 8 are 8, 8 and 4 samples."""

    def valid_data(self):
        return TensorDataset(torch.arange(20.0).unsqueeze(1), torch.arange(20) % 2)

    def metrics(self, output, batch):
        return {"per_sample": output[:, 0], "number": float(output.mean()), "unlabelled": output[:, 0] * torch.nan}


def measured(task, model, train=None):
    data = task.valid_data()
    loaded = LoadedTask(task, model, data, data, data, torch.device("cpu"))
    return evaluate(loaded, [model], data, train or batches_of(8))[0]


def test_metrics_are_means_over_samples_whatever_the_batches():
    metrics = measured(Numbers(), nn.Identity())
    assert metrics["per_sample"] == metrics["number"] == 9.5
    assert math.isnan(metrics["unlabelled"])


def test_each_network_is_measured_on_its_own():
    loaded = load(Numbers())
    found = evaluate(loaded, [nn.Identity(), nn.Hardtanh(0, 1)], loaded.valid, batches_of(8))
    assert [metrics["per_sample"] for metrics in found] == [9.5, 19 / 20]


@pytest.mark.parametrize("training", [True, False])
def test_networks_are_measured_in_eval_mode_and_the_mode_is_restored(training):
    class Modes(Numbers):
        def metrics(self, output, batch):
            return {"training": float(model.training)}

    model = nn.Dropout().train(training)
    assert measured(Modes(), model) == {"training": 0.0}
    assert model.training is training


def test_the_mode_is_restored_when_the_metrics_fail():
    class Broken(Numbers):
        def metrics(self, output, batch):
            raise RuntimeError("no such thing")

    model = nn.Dropout().train()
    with pytest.raises(RuntimeError, match="no such thing"):
        measured(Broken(), model)
    assert model.training


class F1:
    """Of the class 1, over everything."""

    def __init__(self):
        self.hits = self.guessed = self.wanted = 0

    def update(self, output, batch):
        guessed, wanted = output.argmax(-1) == 1, batch[1] == 1
        self.hits += int((guessed & wanted).sum())
        self.guessed += int(guessed.sum())
        self.wanted += int(wanted.sum())

    def compute(self):
        return {"f1": 2 * self.hits / max(1, self.guessed + self.wanted)}


class Rare(Clusters):
    def accumulator(self):
        return F1()

    def valid_data(self):
        return Points(600, 4)


def test_f1_is_that_of_the_whole_set_at_every_batch_size():
    torch.manual_seed(0)
    loaded = load(Rare())
    outputs = loaded.teacher(torch.stack([x for x, _ in loaded.valid])).argmax(-1)
    labels = torch.stack([y for _, y in loaded.valid])
    hits = int(((outputs == 1) & (labels == 1)).sum())
    expected = 2 * hits / int((outputs == 1).sum() + (labels == 1).sum())
    assert 0 < expected < 1
    for size in (256, 64, 16, 2):
        assert evaluate(loaded, [loaded.teacher], loaded.valid, batches_of(size)) == [{"f1": pytest.approx(expected)}]


@pytest.mark.parametrize("computed", [None, {}, 0.5, {"f1": "good"}])
def test_an_accumulator_must_compute_numbers_by_name(computed):
    class Odd(F1):
        def compute(self):
            return computed

    task = Rare()
    task.accumulator = Odd
    with pytest.raises(TaskError, match=r"compute\(\)` must return a dict"):
        measured(task, load(task).teacher)


class Breaks(nn.Module):
    """Gives NaN for the samples of these numbers."""

    def __init__(self, *broken, n_classes=3):
        super().__init__()
        self.broken, self.n_classes = broken, n_classes

    def forward(self, x):
        scores = torch.randn(len(x), self.n_classes)
        scores[(x == torch.tensor(self.broken)).any(1)] = torch.nan
        return scores


class PartlyLabelled(Numbers):
    """Samples 10 to 19 have no label."""

    metrics = Clusters.metrics

    def valid_data(self):
        numbers = torch.arange(20)
        return TensorDataset(numbers.float().unsqueeze(1), torch.where(numbers < 10, numbers % 3, -100))


def test_a_network_that_is_nan_on_hard_samples_has_no_metric_at_all():
    assert all(math.isnan(value) for value in measured(PartlyLabelled(), Breaks(3.0)).values())
    metrics = measured(PartlyLabelled(), Breaks(13.0))  # where nobody knows what is right
    assert all(math.isfinite(value) for value in metrics.values())


def test_the_rule_holds_for_accumulators_too():
    class All:
        def update(self, output, batch):
            pass

        def compute(self):
            return {"accuracy": 1.0}

    task = PartlyLabelled()
    task.accumulator = All
    assert math.isnan(measured(task, Breaks(3.0))["accuracy"])


def test_the_batches_of_training_in_parts_are_as_small():
    class Sizes(Numbers):
        def metrics(self, output, batch):
            sizes.append(len(output))
            return {"size": 1.0}

    sizes: list[int] = []
    loaded = load(Sizes())
    evaluate(loaded, [nn.Identity()], loaded.valid, batches_of(8), n_parts=2)
    assert set(sizes) == {4}


class Half(Clusters):
    """A teacher in half precision, with outputs as Hugging Face has them."""

    def teacher(self):
        return super().teacher().bfloat16()

    def forward(self, model, batch):
        return OrderedDict(logits=model(batch[0]))

    def metrics(self, output, batch):
        return {"largest": output["logits"].max(1).values.numpy()}


def test_a_half_precision_teacher_is_measured_in_the_precision_of_training_and_metrics_see_float32():
    loaded = load(Half())
    (metrics,) = evaluate(loaded, [loaded.teacher], loaded.valid, batches_of(8, "bfloat16"))
    assert math.isfinite(metrics["largest"])
