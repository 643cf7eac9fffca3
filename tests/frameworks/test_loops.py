"""The examples of `docs/exports.md`: the `torch` file in the training loops of others."""

import copy
import importlib
import re
import sys
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader

from mapsearch.exports.write import write

DOCS = Path(__file__).parents[2] / "docs" / "exports.md"


def example(title: str) -> str:
    section = DOCS.read_text(encoding="utf-8").partition(f"### {title}\n")[2]
    found = re.match(r"\n```python\n(.*?)```", section, re.DOTALL)
    assert found, f"{DOCS} has an example under `{title}`"
    return found[1]


@pytest.fixture
def run(distilled, tmp_path, monkeypatch):
    """Run an example on a study's networks; returns its names and what the student was before."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.delitem(sys.modules, "distillation", raising=False)

    def execute(title, task, **names):
        study = distilled(task)
        write("torch", study.source, tmp_path / "distillation.py")
        student, teacher = study.loaded.new_student(0), copy.deepcopy(study.loaded.teacher)
        watch_losses(monkeypatch)
        names = {"torch": torch, "F": F, "student": student, "teacher": teacher, **names}
        data = study.loaded.train if task != "images" else [(x, max(y, 0)) for x, y in study.loaded.train]
        names |= {"train_data": data, "loader": DataLoader(data, batch_size=8)}
        before = copy.deepcopy(student.state_dict())
        exec(example(title), names)
        return study, student, before

    yield execute
    del sys.modules["distillation"]


LOSSES: list[torch.nn.Module] = []
STEPS: list[float] = []


def watch_losses(monkeypatch) -> None:
    """Message every loss that an example makes, its projectors as they begin, and the progress it is told."""
    made = importlib.import_module("distillation").DistillationLoss
    LOSSES.clear(), STEPS.clear()
    init, forward = made.__init__, made.forward

    def noted_init(self, *args):
        init(self, *args)
        self.begin = copy.deepcopy([*self.parameters()])
        LOSSES.append(self)

    def noted_forward(self, *args, progress=0.0, **kwargs):
        STEPS.append(progress)
        return forward(self, *args, progress=progress, **kwargs)

    monkeypatch.setattr(made, "__init__", noted_init)
    monkeypatch.setattr(made, "forward", noted_forward)


def check(study, student, before, n_steps):
    (loss,) = LOSSES
    pairs = list(zip(loss.begin, loss.parameters(), strict=True))
    assert pairs
    assert not any(torch.equal(old, new) for old, new in pairs), "projectors learn"
    assert pytest.approx([i / n_steps for i in range(n_steps)]) == STEPS, "the schedule goes from 0 towards 1"
    loss.close()
    after = student.state_dict()
    assert not all(torch.equal(before[name], after[name]) for name in before)
    study.loaded.new_student(1).load_state_dict(after)


def test_hugging_face_trainer(run, tmp_path):
    transformers = pytest.importorskip("transformers")
    pytest.importorskip("accelerate")
    arguments = transformers.TrainingArguments(
        str(tmp_path / "out"), max_steps=4, per_device_train_batch_size=4, gradient_accumulation_steps=2, use_cpu=True,
        report_to="none", save_strategy="no", remove_unused_columns=False, learning_rate=0.01, disable_tqdm=True,
    )  # fmt: skip
    study, student, before = run("Hugging Face Trainer", "bert", arguments=arguments)
    assert STEPS == [0.0, 0.0, 0.25, 0.25, 0.5, 0.5, 0.75, 0.75], "two batches are accumulated for a step"
    STEPS[:] = STEPS[::2]
    check(study, student, before, 4)


def test_lightning(run, tmp_path):
    lightning = pytest.importorskip("lightning")
    trainer = lightning.Trainer(
        max_epochs=1, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, default_root_dir=tmp_path,
    )  # fmt: skip
    check(*run("Lightning", "images", lightning=lightning, trainer=trainer), 5)


def test_accelerate(run, monkeypatch):
    pytest.importorskip("accelerate")
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    check(*run("Accelerate", "images"), 5)


def test_timm(run):
    pytest.importorskip("timm")
    check(*run("timm", "images"), 5)
