import copy

import pytest
import torch
from torch import nn

from mapsearch.check import check


def said(report, level, what):
    return "\n".join(f.message for f in report.findings if (f.level, f.what) == (level, what))


def spoilt(network, path, value):
    with torch.no_grad():
        network.get_parameter(path).fill_(value)
    return network


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (0.0, r"its weight `stem.weight` [8, 1, 3, 3] is 0 everywhere; load its checkpoint"),
        (0.5, r"its weight `stem.weight` [8, 1, 3, 3] is 0.5 everywhere"),
        (float("nan"), r"its weight `stem.weight` [8, 1, 3, 3] holds values that are not finite"),
    ],
)
def test_a_blank_teacher_is_refused(vision, cnn, study, value, why):
    report = check(vision(teacher=lambda: spoilt(cnn(8, 4), "stem.weight", value)), study())
    assert why in said(report, "error", "teacher")


def test_a_teacher_worse_than_the_student_is_refused_with_both_numbers(vision, study):
    good = vision().teacher
    bad = copy.deepcopy(good)
    with torch.no_grad():
        bad.head.weight.neg_()
        bad.head.bias.neg_()
    message = said(check(vision(teacher=lambda: bad, student=lambda: unfrozen(good)), study()), "error", "teacher")
    assert "must be better than the student, but got `accuracy` 0" in message
    assert "1 of the untrained student; check weights and preprocessing" in message


def test_the_direction_says_which_teacher_is_better(vision, study):
    good = vision().teacher
    report = check(vision(), study(metric="loss", direction="minimize"))
    assert "must be better" not in said(report, "error", "teacher")
    report = check(vision(student=lambda: unfrozen(good, 9.0)), study(metric="loss", direction="minimize"))
    assert "must be better than the student, but got `loss`" in said(report, "error", "teacher")


def unfrozen(network, scale=1.0):
    student = copy.deepcopy(network).requires_grad_(True)
    with torch.no_grad():
        student.head.weight *= scale
        student.head.bias *= scale
    return student


def test_a_teacher_no_better_than_the_student_is_a_warning(vision, study):
    good = vision().teacher
    assert "no better than the untrained student" in said(
        check(vision(student=lambda: unfrozen(good)), study()), "warning", "teacher"
    )


def test_a_metric_that_is_not_measured_comes_with_close_matches(vision, study):
    message = said(check(vision(), study(metric="acuracy")), "error", "teacher")
    assert message == "`metric: acuracy` is not measured by the task; did you mean `accuracy`?"


def test_a_student_that_is_the_same_object_is_refused(vision, cnn, study):
    one = cnn(4, 2)
    assert "must return a new module at every call" in said(
        check(vision(student=lambda: one), study()), "error", "student"
    )


def test_students_that_share_a_part_are_refused(vision, cnn, study):
    stem = nn.Conv2d(1, 4, 3, padding=1)

    def student():
        made = cnn(4, 2)
        made.stem = stem
        return made

    assert "two students share their parameters" in said(check(vision(student=student), study()), "error", "student")


def test_a_student_that_is_the_teacher_is_refused(vision, cnn, study):
    teacher = cnn(8, 4)
    report = check(vision(teacher=lambda: teacher, student=lambda: teacher), study())
    assert "but it returns the teacher" in said(report, "error", "student")
    assert not teacher.training


def test_a_student_that_holds_modules_of_the_teacher_is_refused(vision, cnn, study):
    teacher = vision().teacher

    def student():
        made = cnn(8, 2)
        made.stem = teacher.stem
        return made

    report = check(vision(teacher=lambda: teacher, student=student), study())
    assert "must be in eval mode, but `stem` is in training mode" in said(report, "error", "teacher")
    assert "the student must hold copies" in said(report, "error", "teacher")


def test_a_teacher_that_takes_gradients_is_refused(vision, study):
    loaded = vision()
    loaded.teacher.head.requires_grad_(True)
    assert "must be frozen, but `head.weight` takes gradients" in said(check(loaded, study()), "error", "teacher")


def test_a_student_that_cannot_learn_is_refused(vision, cnn, study):
    report = check(vision(student=lambda: cnn(4, 2).requires_grad_(False)), study())
    assert "parameters is trainable" in said(report, "error", "student")


def test_a_student_that_is_partly_frozen_is_a_warning(vision, cnn, study):
    def student():
        made = cnn(4, 2)
        made.stem.requires_grad_(False)
        return made

    report = check(vision(student=student), study())
    assert said(report, "warning", "student") == "311 of 351 parameters are trainable"


def test_a_student_with_other_weights_under_one_seed_is_a_warning(vision, cnn, study):
    calls = []

    def student():
        calls.append(1)
        torch.manual_seed(len(calls))
        return cnn(4, 2)

    assert "other weights under the same seed" in said(check(vision(student=student), study()), "warning", "student")


def test_a_student_that_is_no_module_is_an_error(vision, study):
    report = check(vision(student=lambda: None), study())
    assert said(report, "error", "student") == "`student()` must return a torch module, but got NoneType"


def test_logits_of_other_shape_are_refused_with_both_shapes(vision, cnn, study):
    def student():
        made = cnn(4, 2)
        made.head = nn.Linear(4, 5)
        return made

    message = said(check(vision(student=student), study()), "error", "logits")
    assert "student [16, 5], teacher [16, 3]" in message


def test_logits_must_be_class_scores(vision, study):
    report = check(vision(logits=lambda self, output: output.argmax(-1)), study())
    assert "must return float class scores `[..., C]`" in said(report, "error", "logits")
