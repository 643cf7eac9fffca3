import pytest
import torch
from findings import codes, message
from small_tasks import ResidualConvNet
from torch.utils.data import TensorDataset

from mapsearch.check import check
from mapsearch.tasks.task import Task


def test_a_teacher_that_was_never_trained_is_a_warning(vision, study):
    torch.manual_seed(3)
    stranger = ResidualConvNet(8, 4)
    report = check(vision(teacher=lambda: stranger), study())
    assert "teacher.guesses" in codes(report, "warning")
    assert "`accuracy`" in message(report, "teacher.guesses")


@pytest.mark.parametrize("keys", [{}, {"metric": "loss", "direction": "minimize"}])
def test_a_good_teacher_is_better_than_guessing_in_either_direction(vision, study, keys):
    assert "teacher.guesses" not in codes(check(vision(), study(**keys)), "warning")


def test_samples_in_the_order_of_their_classes_hide_nothing(vision, study):
    x, y = vision().valid.tensors
    order = y.argsort()
    report = check(vision(valid=TensorDataset(x[order], y[order])), study())
    assert "teacher.guesses" not in codes(report, "warning")


def test_a_teacher_that_knows_only_the_commonest_class_is_a_warning(vision, study):
    teacher = ResidualConvNet(8, 4)
    with torch.no_grad():
        teacher.head.bias.copy_(torch.tensor([9.0, 0.0, 0.0]))
    x, y = vision().valid.tensors
    mostly = TensorDataset(x, torch.where(torch.arange(len(y)) % 10 == 0, y, 0))
    report = check(vision(teacher=lambda: teacher, valid=mostly), study())
    assert report.teacher_metrics["accuracy"] > 0.85
    assert "teacher.guesses" in codes(report, "warning")


def test_metrics_that_refuse_what_no_network_gave_are_not_held_against_the_teacher(vision, study):
    def metrics(self, output, batch):
        if not torch.equal(output, self.last):
            raise ValueError("not what the network said")
        return Task.metrics(self, output, batch)

    def forward(self, model, batch):
        self.last = Task.forward(self, model, batch)
        return self.last

    report = check(vision(metrics=metrics, forward=forward), study())
    assert codes(report, "error") == []
    assert "teacher.guesses_unknown" in codes(report, "ok")


class F1:
    """Of the class 1."""

    def __init__(self):
        self.hits = self.guessed = self.wanted = 0

    def update(self, outputs, labels):
        guessed, wanted = outputs.argmax(-1) == 1, labels == 1
        self.hits += int((guessed & wanted).sum())
        self.guessed += int(guessed.sum())
        self.wanted += int(wanted.sum())

    def compute(self):
        return 2 * self.hits / max(1, self.guessed + self.wanted)


def f1_of_a_batch(self, output, batch):
    one = F1()
    one.update(output, batch[1])
    return {**Task.metrics(self, output, batch), "f1": one.compute()}


def hard(loaded):
    """Validation data on which the teacher is not always right."""
    x, y = loaded.valid.tensors
    return TensorDataset(x, torch.where(torch.arange(len(y)) % 4 == 0, (y + 1) % 3, y))


def test_a_metric_that_changes_with_the_batch_size_is_refused_when_it_is_the_studys(vision, study):
    parts = {"valid": hard(vision()), "metrics": f1_of_a_batch}
    report = check(vision(**parts), study(metric="f1"))
    assert codes(report, "error") == ["teacher.metric_of_batches"]
    assert "`metric_objects()`" in message(report, "teacher.metric_of_batches")
    report = check(vision(**parts), study())
    assert codes(report, "error") == []
    assert "teacher.metric_of_batches" in codes(report, "warning")


def test_outputs_that_depend_on_their_batch_are_a_warning(vision, study):
    def logits(self, output):
        return output - output.mean(0)

    report = check(vision(valid=hard(vision()), logits=logits), study(metric="loss", direction="minimize"))
    assert "teacher.outputs_of_batches" in codes(report, "warning")
    assert "teacher.metric_of_batches" not in codes(report, "error")


def test_the_same_metric_of_the_whole_set_passes(vision, study):
    report = check(vision(valid=hard(vision()), metric_objects=lambda self: {"f1": F1()}), study(metric="f1"))
    assert codes(report, "error") == []
    assert 0 < report.teacher_metrics["f1"] < 1


def test_objects_that_would_mix_the_networks_are_refused(vision, study):
    one = F1()
    report = check(vision(valid=hard(vision()), metric_objects=lambda self: {"f1": one}), study())
    assert "teacher.shared_metric" in codes(report, "error")
    assert "`f1`" in message(report, "teacher.shared_metric")
