import dataclasses
import math
from collections import OrderedDict

import pytest
import torch
from small_tasks import Clusters, load
from torch import nn
from torch.utils.data import TensorDataset

from mapsearch.core.train_spec import TrainSpec
from mapsearch.tasks.evaluation import Evaluator, evaluate
from mapsearch.tasks.loaded_task import LoadedTask


def batches_of(size, precision="float32"):
    return TrainSpec(eval_batch_size=size, precision=precision)


class Numbers(Clusters):
    """Samples are their own index, and so is the output; batches of 8 are 8, 8 and 4 samples."""

    def teacher(self):
        return nn.Identity()

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
    assert measured(Modes(), model)["training"] == 0.0
    assert model.training is training


def test_the_mode_is_restored_when_the_metrics_fail():
    class Broken(Numbers):
        def metrics(self, output, batch):
            raise RuntimeError("no such thing")

    model = nn.Dropout().train()
    with pytest.raises(RuntimeError, match="no such thing"):
        measured(Broken(), model)
    assert model.training


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


class Everything:
    """Says that all is well, whatever it sees."""

    def update(self, outputs, labels):
        pass

    def compute(self):
        return 1.0


def test_the_rule_holds_for_metric_objects_and_score_too():
    task = PartlyLabelled()
    task.metric_objects = lambda: {"object": Everything()}
    task.score = lambda outputs, labels: {"score": 1.0}
    metrics = measured(task, Breaks(3.0))
    assert math.isnan(metrics["object"])
    assert math.isnan(metrics["score"])


def test_a_value_that_is_nan_for_a_labelled_sample_is_never_left_out():
    class Own(PartlyLabelled):
        def metrics(self, output, batch):
            return {"own": torch.where(batch[0][:, 0] == self.without, torch.nan, 1.0)}

    task = Own()
    task.without = 13.0
    assert measured(task, Breaks())["own"] == 1.0
    task.without = 3.0
    assert math.isnan(measured(task, Breaks())["own"])


def test_metrics_may_see_the_output_of_the_teacher():
    class Against(Numbers):
        def teacher(self):
            return nn.Hardtanh(0, 1)

        def metrics(self, output, batch, teacher_output):
            return {"distance": (output - teacher_output)[:, 0]}

    loaded = load(Against())
    (metrics,) = evaluate(loaded, [nn.Identity()], loaded.valid, batches_of(8))
    assert metrics["distance"] == pytest.approx((190 - 19) / 20)


@pytest.mark.parametrize("size", [3, 16, 256])
def test_agreement_is_the_share_of_samples_on_which_both_networks_say_the_same(size):
    loaded = load(Clusters())
    model = Clusters().student()
    x = torch.stack([x for x, _ in loaded.valid])
    with torch.no_grad():
        expected = (model.eval()(x).argmax(-1) == loaded.teacher(x).argmax(-1)).float().mean()
    (metrics,) = evaluate(loaded, [model], loaded.valid, batches_of(size))
    assert metrics["agreement"] == pytest.approx(float(expected))


class Counted(nn.Module):
    """A network that counts its passes, and has too little memory for more than `most` samples."""

    def __init__(self, inner, most=10**9):
        super().__init__()
        self.inner, self.most, self.n_passes = inner, most, 0

    def forward(self, x):
        self.n_passes += 1
        if len(x) > self.most:
            raise MemoryError("out of memory")
        return self.inner(x)


def test_the_teacher_is_asked_once_per_process():
    loaded = load(Clusters())
    loaded = dataclasses.replace(loaded, teacher=Counted(loaded.teacher))
    evaluator = Evaluator(loaded, batches_of(16))
    first = evaluator.measure([loaded.task.student()], loaded.valid)
    n_passes = loaded.teacher.n_passes
    evaluator.measure([loaded.task.student()], loaded.valid)
    assert loaded.teacher.n_passes == n_passes > 0
    assert 0 <= first[0]["agreement"] <= 1


def test_batches_too_large_for_the_memory_are_halved_and_change_nothing():
    loaded = load(Clusters())
    model = Clusters().student()
    expected = evaluate(loaded, [model], loaded.valid, batches_of(64))[0]
    evaluator = Evaluator(loaded, batches_of(64))
    found = evaluator.measure([Counted(model, most=10)], loaded.valid)[0]
    assert found == pytest.approx(expected)
    assert evaluator.batch_size <= 10


def test_a_network_that_does_not_fit_at_all_is_out_of_memory():
    loaded = load(Clusters())
    with pytest.raises(MemoryError):
        evaluate(loaded, [Counted(Clusters().student(), most=0)], loaded.valid, batches_of(64))


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
