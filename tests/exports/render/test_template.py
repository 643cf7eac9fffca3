"""Written Python files: the PyTorch file in the training loops of others, and what stands in all of them."""

import copy
import importlib
import math
import re
import shutil
import subprocess
import sys
import textwrap
from itertools import cycle
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mapsearch.exports.frameworks.attached import ExportedBatch, attached_recipe, term_parameters
from mapsearch.exports.source import multipliers
from mapsearch.exports.targets import TARGETS
from mapsearch.exports.write import write
from mapsearch.losses.recipe_loss import FEATURE_LOSSES, OUTPUT_LOSSES, RecipeLoss
from mapsearch.tasks.training_batches import train_batches


@pytest.fixture
def load(tmp_path, monkeypatch):
    """Write a source and import the file."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.delitem(sys.modules, "distillation", raising=False)

    def write_and_import(source):
        write("torch", source, tmp_path / "distillation.py")
        return importlib.import_module("distillation")

    yield write_and_import
    del sys.modules["distillation"]


@pytest.fixture(scope="module")
def images(distilled):
    return distilled("images")


@pytest.fixture
def exported(images, load):
    return load(images.source)


def batches(study, n):
    return list(train_batches(study.loaded, 8, 0, n))


def total(study, loss, student, batch, **kwargs):
    with torch.no_grad():
        teacher_outputs = study.loaded.teacher(batch[0])
    logits = student(batch[0])
    return loss(study.loaded.task.loss(logits, batch), logits, teacher_outputs, **kwargs)


def test_five_steps_of_a_plain_loop_move_student_and_projectors_and_leave_no_trace(images, exported):
    student, teacher = images.loaded.new_student(0), images.loaded.teacher
    names = list(student.state_dict())
    loss = exported.DistillationLoss(student, teacher)
    before = copy.deepcopy([*student.parameters(), *loss.parameters()])
    optimizer = torch.optim.AdamW([*student.parameters(), *loss.parameters()], lr=0.01)
    for step, batch in enumerate(batches(images, 5)):
        value = total(images, loss, student, batch, progress=step / 5)
        assert value.shape == ()
        assert math.isfinite(value.item())
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
    after = [*student.parameters(), *loss.parameters()]
    assert not any(torch.equal(old, new) for old, new in zip(before, after, strict=True))
    loss.close()
    assert list(student.state_dict()) == names
    images.loaded.new_student(1).load_state_dict(student.state_dict(), strict=True)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in [*student.modules(), *teacher.modules()])


def test_the_example_in_the_docstring_runs(images, exported):
    _, example = exported.__doc__.split("`distillation.py`:")
    data = [(x, y.clamp(min=0)) for x, y in batches(images, 3)]
    names = {"torch": torch, "F": F, "student": images.loaded.new_student(0), "teacher": images.loaded.teacher}
    exec(textwrap.dedent(example), {**names, "device": "cpu", "batches": data, "n_steps": 3})


def test_evaluations_and_averaged_copies_in_between_do_no_harm(images, exported):
    student = images.loaded.new_student(0)
    loss = exported.DistillationLoss(student, images.loaded.teacher)
    first, second = batches(images, 2)
    total(images, loss, student, first).backward()
    averaged = copy.deepcopy(student)  # as torch.optim.swa_utils.AveragedModel does
    with torch.no_grad():
        student.eval()(first[0])
        images.loaded.teacher(first[0])
        averaged(first[0])
    total(images, loss, student.train(), second).backward()
    loss.close()


class Wrapper(nn.Module):
    """What DistributedDataParallel does to names."""

    def __init__(self, module):
        super().__init__()
        self.module = module

    def forward(self, *args):
        return self.module(*args)


@pytest.mark.parametrize(
    "wrap", [Wrapper, lambda m: torch.compile(m, backend="eager"), lambda m: Wrapper(torch.compile(m, backend="eager"))]
)
def test_wrapped_networks_give_the_same_loss(wrap, images, exported):
    (batch,) = batches(images, 1)
    values = []
    for dress in (lambda m: m, wrap):
        torch.manual_seed(0)
        student = images.loaded.new_student(0)
        dressed = dress(student)
        torch.manual_seed(0)
        loss = exported.DistillationLoss(dressed, images.loaded.teacher)
        values.append(total(images, loss, dressed, batch).item())
        loss.close()
    assert values[0] == pytest.approx(values[1], rel=1e-6)


def test_a_missing_layer_is_refused_by_name(images, exported):
    with pytest.raises(ValueError, match=r"the student has no layer `blocks.0`"):
        exported.DistillationLoss(nn.Linear(2, 2), images.loaded.teacher)


def test_layers_that_did_not_run_once_are_refused(images, exported):
    student = images.loaded.new_student(0)
    loss = exported.DistillationLoss(student, images.loaded.teacher)
    x = torch.randn(4, 3, 9, 9)
    logits = student(x)
    with pytest.raises(
        RuntimeError, match=r"teacher layer `blocks.0` must output one tensor per forward pass, but gave 0"
    ):
        loss(logits.sum(), logits, logits)
    student(x), images.loaded.teacher(x)
    student.blocks[0](x)
    with pytest.raises(RuntimeError, match=r"student layer `blocks.0` must output one tensor .*, but gave 2"):
        loss(logits.sum(), logits, logits)
    loss.close()


def test_a_student_without_gradient_is_refused(images, exported):
    student = images.loaded.new_student(0)
    loss = exported.DistillationLoss(student, images.loaded.teacher)
    (batch,) = batches(images, 1)
    with torch.no_grad():
        assert total(images, loss, student, batch).item() > 0, "a validation loss is fine"
        logits = student(batch[0])
        images.loaded.teacher(batch[0])
    with pytest.raises(RuntimeError, match=r"student layer `blocks.0` has no gradient"):
        loss(logits.sum(), logits, logits)
    loss.close()


def test_a_learned_mixture_goes_on_learning_in_the_file(distilled, load):
    study = distilled("tags", aggregation="mix")
    exported = load(study.source)
    assert "learned weights, averaged over the reference run: " in exported.__doc__
    student, (batch,) = study.loaded.new_student(0), batches(study, 1)
    ours = RecipeLoss(study.source.recipe, study.source.student, study.source.teacher)
    ours.restore(study.source.scales, study.source.norms)
    theirs = exported.DistillationLoss(student, study.loaded.teacher)
    attached = attached_recipe(ours, student, study.loaded.teacher)
    shift = torch.tensor([0.05, -0.1])
    values = []
    for loss, parameters in ((attached, attached.parameters), (theirs, list(term_parameters(theirs)))):
        with torch.no_grad():
            for one, other in zip(attached.parameters, parameters, strict=True):
                other.copy_(shift if other.shape == shift.shape else one)
        logits = student(**{k: batch[k] for k in ("input_ids", "attention_mask")})["logits"]
        with torch.no_grad():
            study.loaded.teacher(**{k: batch[k] for k in ("input_ids", "attention_mask")})
        told = (logits.mean(), logits, logits.detach(), study.loaded.task.mask(batch), 0.1)
        value = loss.total(ExportedBatch(*told)) if loss is attached else loss(*told)
        value.backward()
        values.append([value.detach(), *(parameter.grad for parameter in parameters)])
    assert all(torch.allclose(one, other, rtol=1e-4) for one, other in zip(*values, strict=True))
    assert not torch.equal(values[1][-1], torch.zeros(2)), "the weights learn"
    theirs.close(), attached.close()


def test_a_fused_file_has_fixed_weights(distilled, load):
    study = distilled("images", aggregation="fuse")
    exported = load(study.source)
    loss = exported.DistillationLoss(study.loaded.new_student(0), study.loaded.teacher)
    assert [term.mixture.shift for term in loss.matching.terms] == [None, None]
    assert [name.split(".")[3] for name, _ in loss.named_parameters()] == ["projector"] * 4
    loss.close()


def test_a_recipe_without_pairs_needs_no_projector_and_hooks_nothing(distilled, load):
    study = distilled("tags", pairs=False)
    exported = load(study.source)
    assert not {"feature_terms", "Projector", "LayerHooks", "feature_of", "fade"} & set(vars(exported))
    assert hasattr(exported, "kl")
    loss = exported.DistillationLoss(study.loaded.new_student(0), study.loaded.teacher)
    assert not any(m._forward_hooks for m in study.loaded.teacher.modules())
    assert not list(loss.parameters())
    loss.close()


def test_the_mapping_stands_in_the_file_with_its_weights_and_scales(distilled, load):
    source = distilled("images").source
    exported = load(source)
    terms = exported.feature_terms()
    assert [(term.student, term.teachers) for term in terms] == [
        ("blocks.0", ["blocks.0"]),
        ("blocks.0", ["blocks.1"]),
        ("blocks.1", ["blocks.2"]),
    ]
    given = [exported.FEATURE_SHARE * term.weight / term.scale for term in terms]
    assert given == pytest.approx(multipliers(source.recipe, source.scales), rel=1e-7)
    assert (exported.TEMPERATURE, exported.ANNEAL) == (3.0, 0.5)
    assert pytest.approx(0.3) == exported.TASK_MULTIPLIER


def test_a_file_that_never_fades_says_nothing_of_it(distilled, load):
    exported = load(distilled("tags", anneal=None).source)
    assert not {"ANNEAL", "FEATURES_UNTIL", "fade"} & set(vars(exported))


PYTHON = [name for name, target in TARGETS.items() if target.suffixes == (".py",)]
RUFF = shutil.which("ruff", path=str(Path(sys.executable).parent))
needs_ruff = pytest.mark.skipif(RUFF is None, reason="ruff is not installed")


def lint(folder):
    options = ["--isolated", "--no-cache", "--line-length", "120"]
    subprocess.run([RUFF, "check", *options, "--select", "E,F,W,I,UP,B,SIM,C4,RUF", folder], check=True)
    subprocess.run([RUFF, "format", "--check", *options, folder], check=True)


@needs_ruff
def test_every_target_writes_clean_python_with_its_licence(distilled, tmp_path):
    for number, fields in enumerate([{}, {"aggregation": "mix", "loss": "vid", "anneal": None}, {"pairs": False}]):
        for target in (*PYTHON, "torchdistill"):
            path = tmp_path / f"{target}_{number}{TARGETS[target].suffixes[0]}"
            write(target, distilled("tags", **fields).source, path)
    for path in tmp_path.glob("*.yaml"):
        path.unlink()
    texts = [path.read_text() for path in tmp_path.iterdir()]
    assert len(texts) == 3 * len(PYTHON) + 3
    assert not [text for text in texts if re.search(r"^\s*(from|import) mapsearch", text, re.MULTILINE)]
    assert all(text.startswith("# SPDX-License-Identifier: Apache-2.0\n") for text in texts)
    lint(tmp_path)


@needs_ruff
def test_every_combination_is_clean_python_that_needs_torch_only(distilled, tmp_path):
    recipes = [{"loss": loss, "output_loss": logit} for loss, logit in zip(FEATURE_LOSSES, cycle(OUTPUT_LOSSES))]
    recipes += [{"loss": "mse", "output_loss": "mse"}, {"loss": "vid", "projector": "mlp"}]
    recipes += [{"aggregation": "fuse"}, {"aggregation": "mix", "loss": "cosine"}]
    recipes += [{"pairs": False}, {"output_weight": 0.0}]
    for number, fields in enumerate(recipes):
        write("torch", distilled("tags", **fields).source, tmp_path / f"recipe_{number}.py")
        text = (tmp_path / f"recipe_{number}.py").read_text()
        assert not re.search(r"^\s*(from|import) mapsearch", text, re.MULTILINE)
    lint(tmp_path)
