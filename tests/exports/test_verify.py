"""What is written gives the trial's loss, and what was edited does not."""

import re
from dataclasses import replace

import pytest
import yaml
from exported_recipes import named

from mapsearch.core.errors import ExportError, FrameworkMissing
from mapsearch.core.losses import LOSS_TRAITS
from mapsearch.exports.targets import TARGETS, write
from mapsearch.exports.verify import verify
from mapsearch.losses.recipe_loss import FEATURE_LOSSES, LOGIT_LOSSES

ON_MAPS = [name for name, traits in LOSS_TRAITS.items() if traits.compares != "tokens"]
RECIPES = [
    *({"task": "images", "loss": loss} for loss in ON_MAPS),
    *({"task": "images", "logit_loss": logit} for logit in LOGIT_LOSSES),
    *({"task": "tags", "loss": loss} for loss in FEATURE_LOSSES),
    *({"task": "patches", "loss": loss} for loss in ON_MAPS),
    *({"task": task, "projector": "mlp", "loss": loss} for task in ("images", "tags") for loss in ("nmse", "vid")),
    {"task": "images", "loss": "mse", "logit_loss": "mse"},
    {"task": "tags", "logit_loss": "dkd", "task_weight": 0.5},
    {"task": "tags", "feature_share": 1.0},
    *({"task": "images", "aggregation": "fuse", "loss": loss} for loss in ON_MAPS),
    *({"task": task, "aggregation": "mix", "logit_loss": "dkd"} for task in ("images", "tags")),
    {"task": "tags", "aggregation": "fuse", "loss": "cosine", "anneal": None},
    {"task": "tags", "pairs": False},
    {"task": "tags", "pairs": False, "logit_weight": 0.0},
]


RUN_HERE = [name for name, target in TARGETS.items() if not target.requires]
"""The others are run in `tests/frameworks`."""


def check(path, target, study, source=None):
    return verify(path, target, source or study.source, study.loaded, study.space, study.train)


@pytest.mark.parametrize("recipe", RECIPES, ids=named)
def test_targets_that_need_no_framework_give_the_loss_and_gradient_of_the_trial(recipe, distilled, tmp_path):
    study = distilled(**recipe)
    for target in RUN_HERE:
        write(target, study.source, tmp_path / target)
        report = check(tmp_path / target, target, study)
        assert report.equal
        assert report.loss_exported == pytest.approx(report.loss_in_trial, rel=1e-5)
        assert report.gradient_exported == pytest.approx(report.gradient_here, rel=1e-5)
        assert report.gradient_here > 0
    assert not any(m._forward_hooks for m in study.loaded.teacher.modules())


@pytest.mark.parametrize("balance", ["uncertainty", "gate"])
def test_a_balance_is_kept_by_yaml_and_lost_by_torch_when_that_is_allowed(balance, distilled, tmp_path):
    study = distilled("images", aggregation="fuse", balance=balance)
    write("mapsearch", study.source, tmp_path / "recipe.yaml")
    assert check(tmp_path / "recipe.yaml", "mapsearch", study).equal
    with pytest.raises(
        ExportError, match=f"^target `torch` loses something of trial 0: `balance: {balance}` steers .*; --lossy"
    ):
        write("torch", study.source, tmp_path / "distillation.py")
    assert not (tmp_path / "distillation.py").exists()
    _, (lost,) = write("torch", study.source, tmp_path / "distillation.py", lossy=True)
    assert f"lost: {lost}" in " ".join((tmp_path / "distillation.py").read_text().split())
    assert check(tmp_path / "distillation.py", "torch", study).equal, "it is held against what it can express"


@pytest.fixture(scope="module")
def images(distilled):
    return distilled("images")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"blocks.2"', '"blocks.1"', "the loss of the recipe and of the file must be equal to 1e-05 relative"),
        ('"blocks.2"', '"blocks.7"', "ValueError: the teacher has no layer `blocks.7`"),
        ("TASK_MULTIPLIER = 0.3", "TASK_MULTIPLIER = 0.4", "the loss of the recipe and of the file"),
        ("ANNEAL = 0.5", "ANNEAL = 0.9", "the half-faded loss of the recipe and of the file"),
        ("TEMPERATURE = 3.0", "TEMPERATURE = 2.0", "the loss of the recipe and of the file"),
        ('"map", 4, 8', '"map", 5, 8', "the projectors must have the shapes"),
        ("import torch\n", "import torhc\n", "cannot be loaded and run: ModuleNotFoundError: No module named 'torhc'"),
        ("class DistillationLoss", "class Loss", "cannot be loaded and run: KeyError: 'DistillationLoss'"),
    ],
)
def test_an_edited_torch_file_is_caught_where_it_matters(old, new, message, images, tmp_path):
    path = tmp_path / "distillation.py"
    write("torch", images.source, path)
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(ExportError, match=f"distillation.py: .*{message}"):
        check(path, "torch", images)
    assert not any(m._forward_hooks for m in images.loaded.teacher.modules())


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda recipe: recipe["pairs"][0].update(weight=7.0), "the multiplier of `blocks.0 <- blocks.0` must be"),
        (lambda recipe: recipe["pairs"][2].update(teacher="blocks.9"), "teacher has no layer `blocks.9` in this study"),
        (lambda recipe: recipe.update(task_weight=2.0), "the loss of the recipe and of the file must be equal"),
        (lambda recipe: recipe.update(loss="nsme"), "`loss` must be one of nmse, .* but got 'nsme'"),
    ],
)
def test_an_edited_yaml_file_is_caught(edit, message, images, tmp_path):
    path = tmp_path / "recipe.yaml"
    write("mapsearch", images.source, path)
    data = yaml.safe_load(path.read_text())
    edit(data["recipe"])
    path.write_text(yaml.safe_dump(data))
    with pytest.raises(ExportError, match=f"recipe.yaml: .*{message}"):
        check(path, "mapsearch", images)


def test_a_trial_that_cannot_be_repeated_is_told_apart_from_a_wrong_file(images, tmp_path):
    write("torch", images.source, tmp_path / "out.py")
    elsewhere = replace(images.source, first_loss=images.source.first_loss * 1.01)
    with pytest.raises(ExportError, match=r"the loss of the trial and of its recipe here must be equal") as caught:
        check(tmp_path / "out.py", "torch", images, elsewhere)
    assert len(caught.value.problems) == 1


@pytest.mark.parametrize("target", [name for name, target in TARGETS.items() if target.missing])
def test_without_its_framework_a_file_is_not_verified_and_the_way_out_is_named(target, images, tmp_path):
    install = re.escape(TARGETS[target].install)
    with pytest.raises(FrameworkMissing, match=f"^running it needs .*, which is not installed; {install}, then"):
        check(tmp_path / "out", target, images)


def test_the_target_must_be_known(images, tmp_path):
    with pytest.raises(ExportError, match=r"^unknown target `yaml`"):
        check(tmp_path / "out", "yaml", images)
