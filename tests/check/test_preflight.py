import copy
import json
import re

import pytest
import torch
from findings import codes, message
from small_tasks import ResidualConvNet
from torch import nn

from mapsearch.check import check, raise_for_errors
from mapsearch.core.errors import CheckFailed


def errors(report):
    return [f"{finding.topic}: {finding.message}" for finding in report.errors]


def test_a_sound_vision_study_passes_and_says_what_was_looked_at(vision, study):
    report = check(vision(), study())
    assert errors(report) == []
    assert raise_for_errors(report) is None
    assert [layer.path for layer in report.student] == ["blocks.0", "blocks.1"]
    assert [layer.path for layer in report.teacher] == [f"blocks.{i}" for i in range(4)]
    assert report.teacher_metrics["accuracy"] == 1.0 > report.student_metrics["accuracy"]
    assert report.n_teacher_parameters > report.n_student_parameters > 0
    assert set(report.seconds) == {"teacher_pass", "student_step", "step", "evaluation"}
    topics = {finding.topic for finding in report.findings}
    assert topics == {
        "data",
        "student",
        "teacher",
        "outputs",
        "layers",
        "self-test",
        "pairs",
        "gradients",
        "memory",
        "cache",
    }
    assert all(report.seconds[name] > 0 for name in ("teacher_pass", "student_step", "step", "evaluation"))
    assert json.loads(json.dumps(report.to_json()))["teacher"][0]["path"] == "blocks.0"


def test_a_sound_text_study_passes_with_its_padding_masked(text, study):
    report = check(text(), study())
    assert errors(report) == []
    assert "padding.masked" in codes(report, "ok")


def test_the_loaded_task_is_left_as_it_was(vision, study):
    loaded = vision()
    before = copy.deepcopy(loaded.teacher.state_dict())
    check(loaded, study())
    assert all(torch.equal(before[name], value) for name, value in loaded.teacher.state_dict().items())
    assert not loaded.teacher.training
    assert not any(module._forward_hooks for module in loaded.teacher.modules())
    assert all(p.grad is None and not p.requires_grad for p in loaded.teacher.parameters())


def test_errors_come_all_at_once(vision, study):
    loaded, spec = vision(), study(metric="acuracy", layers={"teacher": ["block"], "student": ["nothing"]})
    assert len(errors(check(loaded, spec))) == 3
    with pytest.raises(CheckFailed, match=r"`accuracy`(.|\n)*`nothing`(.|\n)*`block`"):
        raise_for_errors(check(loaded, spec))


def test_an_exception_of_the_users_code_is_a_finding_with_its_line(vision, study):
    def forward(self, model, batch):
        raise ZeroDivisionError("by my own hand")

    found = errors(check(vision(forward=forward), study()))
    assert all(re.search(r"ZeroDivisionError: by my own hand \(test_preflight.py:\d+\)", line) for line in found)


def test_the_optimizer_of_the_study_is_used(vision, study):
    assert errors(check(vision(), study(train={"optimizer": "sgd"}))) == []


def test_every_loss_and_projector_of_the_study_is_tried(vision, study):
    spec = study(space={"loss": ["nmse", "cosine", "attention"], "projector": ["linear", "none"]})
    report = check(vision(student=lambda: ResidualConvNet(8, 2)), spec)
    assert errors(report) == []
    assert sum(finding.topic == "gradients" for finding in report.findings) == 5  # attention needs no projector


def test_a_task_loss_must_be_one_finite_number(vision, study):
    def per_sample(self, output, batch):
        return nn.functional.cross_entropy(output, batch[1], reduction="none")

    assert "shape [16]" in errors(check(vision(loss=per_sample), study()))[0]


def test_a_teacher_that_fails_in_the_middle_keeps_no_hooks(vision, study):
    loaded = vision()

    def logits(self, output):
        if any(module._forward_hooks for module in loaded.teacher.modules()):
            raise RuntimeError("only while it is watched")
        return output

    loaded.task.logits = logits.__get__(loaded.task)
    assert check(loaded, study()).errors
    assert not any(module._forward_hooks for module in loaded.teacher.modules())
    assert torch.backends.mha.get_fastpath_enabled()


@pytest.mark.parametrize(
    ("parts", "execution", "code", "said"),
    [
        ({}, {}, "cache.fits", "1 GiB"),
        ({}, {"cache_bytes": 50_000}, "cache.too_small", "48.8 KiB; raise `execution.cache_bytes`"),
        ({}, {"cache_bytes": 0}, "cache.off", "`execution.cache_bytes: 0`"),
        ({"collate": lambda self, samples: noisy(samples)}, {}, "cache.varying_samples", "random augmentation"),
    ],
)
def test_whether_the_teachers_features_can_be_kept_is_said(vision, study, parts, execution, code, said):
    report = check(vision(**parts), study(execution=execution))
    (found,) = (finding for finding in report.findings if finding.topic == "cache")
    assert (found.level, found.code) == ("ok", code)
    assert said in found.message


def noisy(samples):
    x, y = torch.utils.data.default_collate(samples)
    return x + 0.01 * torch.randn_like(x), y


def test_what_a_cohort_takes_is_said_and_a_warning_when_it_is_too_much(vision, study, monkeypatch):
    assert re.search(r"for a cohort of 8: .* per student", message(check(vision(), study()), "memory.fits"))
    monkeypatch.setattr("mapsearch.check.cost.free_bytes", lambda device: 2**16)
    report = check(vision(), study())
    assert "memory.split" in codes(report, "warning")
    assert "64 KiB" in message(report, "memory.split")
