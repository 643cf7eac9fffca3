"""TextBrewer computes what the exported recipe says."""

import importlib
import json
import sys
import textwrap

import pytest
import torch
from exported_recipes import named

from mapsearch.core.errors import ExportError
from mapsearch.core.losses import LOSS_TRAITS
from mapsearch.exports.targets import write
from mapsearch.exports.textbrewer import CAPABILITY
from mapsearch.tasks.batches import train_batches

RECIPES = [
    *({"task": "tags", "loss": loss} for loss in sorted(CAPABILITY.losses)),
    *({"task": "images", "loss": loss} for loss in sorted(CAPABILITY.losses) if LOSS_TRAITS[loss].compares != "tokens"),
    *({"task": "patches", "loss": loss} for loss in ("cosine", "nst")),
    *({"task": "tags", "logit_loss": logit} for logit in sorted(CAPABILITY.logit_losses)),
    *({"task": task, "loss": "mse"} for task in ("bert", "llama")),
    {"task": "tags", "loss": "mse", "projector": "mlp"},
    {"task": "bert", "loss": "nmse", "task_weight": 0.5, "anneal": None},
    {"task": "tags", "feature_share": 1.0},
    {"task": "tags", "pairs": False},
]


@pytest.mark.parametrize("recipe", RECIPES, ids=named)
def test_it_gives_the_loss_and_gradient_of_the_trial(recipe, distilled, verified):
    report = verified("textbrewer", distilled(**recipe))
    assert report.loss_exported == pytest.approx(report.loss_in_trial, rel=1e-5)


def test_the_example_in_the_docstring_trains_student_and_projections(distilled, tmp_path, monkeypatch):
    study = distilled("bert", loss="mse")
    write("textbrewer", study.source, tmp_path / "distill.json")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    example = importlib.import_module("distill_adaptor").__doc__.split("`labels`:\n")[1].split("\n`kd_loss_weight`")[0]
    student = study.loaded.new_student(0)
    names = {"teacher": study.loaded.teacher, "student": student, "device": "cpu", "n_epochs": 2}
    names["batches"] = list(train_batches(study.loaded, 8, 0, 3))
    names["optimizer"] = torch.optim.AdamW(student.parameters(), lr=0.1)
    exec(textwrap.dedent(example), names)
    del sys.modules["distill_adaptor"]
    learned = names["optimizer"].param_groups[1:]
    assert len(learned) == 3
    assert all(x in names["optimizer"].state for group in learned for x in group["params"])  # it stepped
    assert names["fade"].step == 6
    assert all(match.weight == 0 for match in names["config"].intermediate_matches)  # faded at half of the steps
    for adaptor in names["adaptors"]:
        adaptor.hooks.remove()
    study.loaded.new_student(1).load_state_dict(student.state_dict(), strict=True)


def change(path, edit):
    data = json.loads(path.read_text())
    edit(data)
    path.write_text(json.dumps(data))


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda data: data["intermediate_matches"][1].update(weight=0.9), "the loss of the recipe and of the file"),
        (lambda data: data["intermediate_matches"][1].update(layer_T=2), "the loss of the recipe and of the file"),
        (lambda data: data.update(temperature=1.0), "the student gradient norm of the recipe and of the file"),
        (lambda data: data.update(kd_loss_weight=0.6), "the loss of the recipe and of the file"),
        (lambda data: data["intermediate_matches"][0]["proj"].__setitem__(1, 9), "the projectors must have the shapes"),
        (lambda data: data["intermediate_matches"][0].update(layer_S=7), "cannot be loaded and run: IndexError"),
        (lambda data: data.update(kd_weight=1.0), "cannot be loaded and run: TypeError: .*kd_weight"),
    ],
)
def test_an_edited_config_is_caught(edit, message, distilled, verified):
    with pytest.raises(ExportError, match=message):
        verified("textbrewer", distilled("tags"), lambda path: change(path, edit))


def test_a_renamed_layer_is_caught(distilled, verified):
    def rename(path):
        beside = path.with_name(f"{path.stem}_adaptor.py")
        beside.write_text(beside.read_text().replace('("layers.2", ', '("layers.7", '))

    with pytest.raises(ExportError, match=r"the teacher has no layer `layers.7`"):
        verified("textbrewer", distilled("tags"), rename)
