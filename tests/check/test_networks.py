import copy

import pytest
import torch
from findings import codes, message
from small_tasks import ResidualConvNet
from torch import nn

from mapsearch.check import check
from mapsearch.tasks.task import Task


def spoilt(network, path, value):
    with torch.no_grad():
        network.get_parameter(path).fill_(value)
    return network


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (0.0, "0 everywhere"),
        (0.5, "0.5 everywhere"),
        (float("nan"), "not finite"),
    ],
)
def test_a_blank_teacher_is_refused(vision, study, value, why):
    report = check(vision(teacher=lambda: spoilt(ResidualConvNet(8, 4), "stem.weight", value)), study())
    assert "`stem.weight` [8, 1, 3, 3]" in message(report, "teacher.blank")
    assert why in message(report, "teacher.blank")


def test_a_teacher_worse_than_the_student_is_refused_with_both_numbers(vision, study):
    good = vision().teacher
    bad = copy.deepcopy(good)
    with torch.no_grad():
        bad.head.weight.neg_()
        bad.head.bias.neg_()
    report = check(vision(teacher=lambda: bad, student=lambda: unfrozen(good)), study())
    assert "teacher.worse_than_student" in codes(report, "error")
    assert "`accuracy` of 0 " in message(report, "teacher.worse_than_student")


def test_the_direction_says_which_teacher_is_better(vision, study):
    good = vision().teacher
    report = check(vision(), study(metric="loss", direction="minimize"))
    assert "teacher.worse_than_student" not in codes(report, "error")
    report = check(vision(student=lambda: unfrozen(good, 9.0)), study(metric="loss", direction="minimize"))
    assert "`loss`" in message(report, "teacher.worse_than_student")


def unfrozen(network, scale=1.0):
    student = copy.deepcopy(network).requires_grad_(True)
    with torch.no_grad():
        student.head.weight *= scale
        student.head.bias *= scale
    return student


def test_a_teacher_no_better_than_the_student_is_a_warning(vision, study):
    good = vision().teacher
    assert "teacher.as_good_as_student" in codes(check(vision(student=lambda: unfrozen(good)), study()), "warning")


def test_a_metric_that_is_not_measured_comes_with_close_matches(vision, study):
    report = check(vision(), study(metric="acuracy"))
    assert codes(report, "error") == ["teacher.metric"]
    assert "did you mean `accuracy`?" in message(report, "teacher.metric")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e308])
def test_the_metric_of_the_study_must_be_a_number_that_can_be_compared(vision, study, value):
    report = check(vision(metrics=lambda self, output, batch: {"spread": value}), study(metric="spread"))
    assert codes(report, "error") == ["teacher.metric"]
    assert "`spread`" in message(report, "teacher.metric")


def test_a_metric_that_is_not_the_studys_may_be_what_it_likes(vision, study):
    def metrics(self, output, batch):
        return {**Task.metrics(self, output, batch), "spread": float("nan")}

    assert codes(check(vision(metrics=metrics), study()), "error") == []


def test_a_student_that_is_the_same_object_is_refused(vision, study):
    one = ResidualConvNet(4, 2)
    assert "student.shared_parameters" in codes(check(vision(student=lambda: one), study()), "error")


def test_students_that_share_a_part_are_refused(vision, study):
    stem = nn.Conv2d(1, 4, 3, padding=1)

    def student():
        made = ResidualConvNet(4, 2)
        made.stem = stem
        return made

    assert "student.shared_parameters" in codes(check(vision(student=student), study()), "error")


def test_a_student_that_is_the_teacher_is_refused(vision, study):
    teacher = ResidualConvNet(8, 4)
    report = check(vision(teacher=lambda: teacher, student=lambda: teacher), study())
    assert "student.is_teacher" in codes(report, "error")
    assert not teacher.training


def test_a_student_that_holds_modules_of_the_teacher_is_refused(vision, study):
    teacher = vision().teacher

    def student():
        made = ResidualConvNet(8, 2)
        made.stem = teacher.stem
        return made

    report = check(vision(teacher=lambda: teacher, student=student), study())
    assert "`stem`" in message(report, "teacher.training_mode")
    assert "copies" in message(report, "teacher.training_mode")


def test_a_teacher_that_takes_gradients_is_refused(vision, study):
    loaded = vision()
    loaded.teacher.head.requires_grad_(True)
    assert "`head.weight`" in message(check(loaded, study()), "teacher.not_frozen")


def test_a_student_that_cannot_learn_is_refused(vision, study):
    report = check(vision(student=lambda: ResidualConvNet(4, 2).requires_grad_(False)), study())
    assert "student.frozen" in codes(report, "error")


def test_a_student_that_is_partly_frozen_is_a_warning(vision, study):
    def student():
        made = ResidualConvNet(4, 2)
        made.stem.requires_grad_(False)
        return made

    report = check(vision(student=student), study())
    assert "student.trainable" in codes(report, "warning")
    assert "311 of 351" in message(report, "student.trainable")


def test_a_student_with_other_weights_under_one_seed_is_a_warning(vision, study):
    calls = []

    def student():
        calls.append(1)
        torch.manual_seed(len(calls))
        return ResidualConvNet(4, 2)

    assert "student.unseeded" in codes(check(vision(student=student), study()), "warning")


def test_a_student_that_is_no_module_is_an_error(vision, study):
    report = check(vision(student=lambda: None), study())
    assert "NoneType" in message(report, "student.refused")


def test_logits_of_other_shape_are_refused_with_both_shapes(vision, study):
    def student():
        made = ResidualConvNet(4, 2)
        made.head = nn.Linear(4, 5)
        return made

    assert "student [16, 5], teacher [16, 3]" in message(check(vision(student=student), study()), "outputs.shape")


def test_logits_must_be_class_scores(vision, study):
    report = check(vision(logits=lambda self, output: output.argmax(-1)), study())
    assert "argmax" in message(report, "outputs.refused")


def test_outputs_without_class_scores_are_refused_once(vision, study):
    report = check(vision(forward=lambda self, model, batch: {"embedding": model(batch[0])}), study())
    topics = [finding.topic for finding in report.errors]
    assert topics.count("outputs") == 1
    assert not {"padding", "gradients"} & set(topics)


class Graphs(nn.Module):
    """Nodes of all samples after each other, and which sample each belongs to."""

    def __init__(self):
        super().__init__()
        self.embed, self.head = nn.Linear(1, 8), nn.Linear(8, 3)

    def forward(self, nodes, sample):
        n = int(sample.max()) + 1
        return self.head(torch.zeros(n, 8).index_add(0, sample, self.embed(nodes)))


def collate_graphs(self, samples):
    sizes = [3 + i % 3 for i in range(len(samples))]
    nodes = torch.cat([x.flatten()[:n, None] for (x, _), n in zip(samples, sizes, strict=True)])
    sample = torch.repeat_interleave(torch.arange(len(samples)), torch.tensor(sizes))
    return {"nodes": nodes, "sample": sample, "labels": torch.stack([y for _, y in samples])}


def test_a_batch_whose_first_tensor_has_other_rows_than_samples_is_refused_with_the_way_out(vision, study):
    report = check(vision(teacher=Graphs, student=Graphs, collate=collate_graphs), study())
    assert "for a batch whose first tensor has 63 rows" in message(report, "outputs.batch_axis")
    assert "labels" in message(report, "outputs.batch_axis")

    def labels_first(self, samples):
        batch = collate_graphs(self, samples)
        return {"labels": batch.pop("labels"), **batch}

    report = check(vision(teacher=Graphs, student=Graphs, collate=labels_first), study(layers={"teacher": ["head"]}))
    assert not any(finding.code == "outputs.batch_axis" for finding in report.findings)
