"""What is written gives the trial's loss, and what was edited does not."""

import copy
import re
from dataclasses import replace

import pytest
import torch
import yaml
from exported_recipes import named
from rounded_products import RoundedProducts

from mapsearch.core.errors import ExportError, FrameworkMissing, TaskError, WrongExport
from mapsearch.core.losses import LOSS_TRAITS
from mapsearch.exports.frameworks import table
from mapsearch.exports.frameworks.verify import verify
from mapsearch.exports.targets import TARGETS
from mapsearch.exports.write import write
from mapsearch.losses.recipe_loss import FEATURE_LOSSES, OUTPUT_LOSSES

ON_MAPS = [name for name, traits in LOSS_TRAITS.items() if traits.compares != "tokens"]
RECIPES = [
    *({"task": "images", "loss": loss} for loss in ON_MAPS),
    *({"task": "images", "output_loss": logit} for logit in OUTPUT_LOSSES),
    *({"task": "tags", "loss": loss} for loss in FEATURE_LOSSES),
    *({"task": "patches", "loss": loss} for loss in ON_MAPS),
    *({"task": task, "projector": "mlp", "loss": loss} for task in ("images", "tags") for loss in ("nmse", "vid")),
    {"task": "images", "loss": "mse", "output_loss": "mse"},
    {"task": "tags", "output_loss": "dkd", "task_weight": 0.5},
    {"task": "tags", "feature_share": 1.0},
    *({"task": "images", "aggregation": "fuse", "loss": loss} for loss in ON_MAPS),
    *({"task": task, "aggregation": "mix", "output_loss": "dkd"} for task in ("images", "tags")),
    {"task": "tags", "aggregation": "fuse", "loss": "cosine", "anneal": None},
    {"task": "images", "features_until": 0.4},
    {"task": "tags", "aggregation": "mix", "features_until": 0.4, "anneal": None},
    {"task": "tags", "pairs": False},
    {"task": "twice"},
]


RUN_HERE = [name for name, target in TARGETS.items() if not target.requires]
"""The others are run in `tests/frameworks`."""


def check(path, target, study, source=None):
    return verify(path, target, source or study.source, study.loaded, study.space, study.train)


@pytest.mark.parametrize("recipe", RECIPES, ids=named)
def test_targets_that_need_no_framework_give_the_loss_and_gradient_of_the_trial(recipe, distilled, tmp_path):
    study = distilled(**recipe)
    for target in RUN_HERE:
        path = tmp_path / f"{target}{TARGETS[target].suffixes[0]}"
        write(target, study.source, path)
        report = check(path, target, study)
        assert report.loss_exported == pytest.approx(report.loss_in_trial, rel=1e-5)
        assert report.file[:2] == pytest.approx(report.here[:2], rel=1e-5)
        assert report.file == pytest.approx(report.here, rel=1e-3)
        assert report.here[0] > 0
        assert len(report.here) == 4
        assert report.edits == ()
        assert not report.warning
    assert not any(m._forward_hooks for m in study.loaded.teacher.modules())


@pytest.mark.parametrize("balance", ["uncertainty", "gate"])
def test_a_balance_is_kept_by_yaml_and_left_out_by_torch_with_lossy(balance, distilled, tmp_path):
    study = distilled("images", aggregation="fuse", balance=balance)
    write("mapsearch", study.source, tmp_path / "recipe.yaml")
    assert check(tmp_path / "recipe.yaml", "mapsearch", study).differences == ()
    with pytest.raises(ExportError, match=f"cannot express all of trial 0: `balance: {balance}` changes .*; --lossy"):
        write("torch", study.source, tmp_path / "distillation.py")
    assert not (tmp_path / "distillation.py").exists()
    _, (left_out,) = write("torch", study.source, tmp_path / "distillation.py", lossy=True)
    assert f"unsupported: {left_out}" in " ".join((tmp_path / "distillation.py").read_text().split())
    assert check(tmp_path / "distillation.py", "torch", study).differences == (), "compared with what it can express"


@pytest.fixture(scope="module")
def images(distilled):
    return distilled("images")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"blocks.2"', '"blocks.1"', "the loss of the recipe and of the file must be equal"),
        ('"blocks.2"', '"blocks.7"', "ValueError: the teacher has no layer `blocks.7`"),
        ("TASK_MULTIPLIER = 0.3", "TASK_MULTIPLIER = 0.4", "the loss of the recipe and of the file"),
        (
            "ANNEAL = 0.5",
            "ANNEAL = 0.9",
            "the loss of step 2, where 25% of the training is done, of the recipe",
        ),
        ("TEMPERATURE = 3.0", "TEMPERATURE = 2.0", "the loss of the recipe and of the file"),
        ("student_width=4", "student_width=5", "the projectors must have the shapes"),
        ("import torch\n", "import torhc\n", "cannot be run here: ModuleNotFoundError: No module named 'torhc'"),
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


def test_what_has_been_edited_is_named_in_words(images, tmp_path):
    path = tmp_path / "distillation.py"
    write("torch", images.source, path)
    text = path.read_text()
    path.write_text(text.replace("TEMPERATURE = 3.0", "TEMPERATURE = 2.0"))
    with pytest.raises(WrongExport, match=r"has `TEMPERATURE = 2.0` where an export has `TEMP"):
        check(path, "torch", images)
    path.write_text(text.replace("= 3.0\n", "= 3.0  # ours\n").replace("study: small", "study: x"))
    assert check(path, "torch", images).edits == (), "no comment counts"


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


def recorded(study, factor):
    return replace(study.source, first_loss=study.source.first_loss * factor)


def test_a_loss_recorded_on_another_device_is_a_warning(images, tmp_path):
    write("torch", images.source, tmp_path / "out.py")
    report = check(tmp_path / "out.py", "torch", images, recorded(images, 1.004))
    assert re.search(r"first loss of the trial was .* gives .* here: .*another device, TF32", report.warning)


def test_a_trial_that_cannot_be_repeated_is_told_apart_from_a_wrong_file(images, tmp_path):
    write("torch", images.source, tmp_path / "out.py")
    with pytest.raises(ExportError, match=r"file gives the loss of its recipe.*its data or .*teacher") as caught:
        check(tmp_path / "out.py", "torch", images, recorded(images, 1.1))
    assert not isinstance(caught.value, WrongExport)
    assert len(caught.value.problems) == 1


def test_a_study_in_float32_explains_less(images, tmp_path):
    write("torch", images.source, tmp_path / "out.py")
    study = replace(images, train=images.train.model_copy(update={"precision": "float32"}))
    with pytest.raises(ExportError, match=r"its data or .*teacher has changed"):
        check(tmp_path / "out.py", "torch", study, recorded(images, 1.01))


@pytest.fixture
def rounded_products():
    """Matrix products in bfloat16 on the CPU, as TF32 does it on a GPU: what user code may have asked for."""
    torch.set_float32_matmul_precision("medium")
    yield
    assert torch.get_float32_matmul_precision() == "medium", "left as the user's code has it"
    torch.set_float32_matmul_precision("highest")


@pytest.mark.parametrize("task", ["images", "tags"])
def test_a_trial_with_rounded_products_is_verified_with_full_ones(task, distilled, rounded_products, tmp_path):
    study = distilled(task)
    write("torch", study.source, tmp_path / "out.py")
    assert check(tmp_path / "out.py", "torch", study).differences == ()


@pytest.mark.parametrize("task", ["images", "tags"])
def test_a_trial_in_bfloat16_is_verified(task, distilled, tmp_path):
    study = distilled(task)
    write("torch", study.source, tmp_path / "out.py")
    study = replace(study, train=study.train.model_copy(update={"precision": "bfloat16"}))
    report = check(tmp_path / "out.py", "torch", study)
    assert report.tolerance == 1e-3
    assert report.file[:2] == pytest.approx(report.here[:2], rel=1e-3)
    assert report.here[1] != pytest.approx(report.loss_in_trial, rel=1e-6), "it was float32"


@pytest.mark.parametrize("task", ["images", "tags"])
def test_a_right_file_is_not_refused_where_products_round_as_in_tf32(task, distilled, tmp_path):
    study = distilled(task)
    write("torch", study.source, tmp_path / "out.py")
    with RoundedProducts() as rounded:
        report = check(tmp_path / "out.py", "torch", study)
    assert rounded.n_rounded
    assert report.file[:2] == pytest.approx(report.here[:2], rel=1e-5)


@pytest.mark.parametrize("task", ["images", "tags"])
def test_a_teacher_in_half_precision_is_verified(task, distilled, tmp_path):
    study = distilled(task)
    write("torch", study.source, tmp_path / "out.py")
    loaded = replace(study.loaded, teacher=copy.deepcopy(study.loaded.teacher).bfloat16())
    train = study.train.model_copy(update={"precision": "bfloat16"})
    report = check(tmp_path / "out.py", "torch", replace(study, loaded=loaded, train=train))
    assert report.file[:2] == pytest.approx(report.here[:2], rel=1e-3)


def failing(error):
    def fail(*args):
        raise error

    return fail


@pytest.mark.parametrize(
    ("error", "is_wrong"),
    [
        (torch.OutOfMemoryError("CUDA out of memory"), False),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"), False),
        (ImportError("libcudart.so.13"), False),
        (OSError(28, "No space left on device"), False),
        (KeyError("build"), True),
    ],
)
def test_what_is_not_the_fault_of_the_file_is_told_apart(error, is_wrong, images, monkeypatch, tmp_path):
    write("torch", images.source, tmp_path / "out.py")
    monkeypatch.setitem(table.FRAMEWORKS, "torch", failing(error))
    with pytest.raises(ExportError, match=type(error).__name__) as caught:
        check(tmp_path / "out.py", "torch", images)
    assert isinstance(caught.value, WrongExport) == is_wrong


def test_a_task_that_fails_is_not_the_fault_of_the_file(images, monkeypatch, tmp_path):
    write("torch", images.source, tmp_path / "out.py")
    monkeypatch.setattr(images.loaded.task, "loss", failing(ValueError("no labels")))
    with pytest.raises(TaskError, match="ValueError: no labels"):
        check(tmp_path / "out.py", "torch", images)


@pytest.mark.parametrize("target", [name for name, target in TARGETS.items() if target.missing])
def test_without_its_framework_a_file_is_not_verified_and_the_way_out_is_named(target, images, tmp_path):
    install = re.escape(TARGETS[target].install)
    with pytest.raises(FrameworkMissing, match=f"^running it needs .*, which is not installed; {install}, then"):
        check(tmp_path / "out", target, images)


def test_the_target_must_be_known(images, tmp_path):
    with pytest.raises(ExportError, match=r"^unknown target `yaml`"):
        check(tmp_path / "out", "yaml", images)


@pytest.mark.parametrize("target", ["transformers", "lightning"])
def test_a_file_of_another_target_is_refused(target, distilled, tmp_path):
    study = distilled(task="images")
    path = tmp_path / "x.py"
    write("torch", study.source, path)
    attach = table.FRAMEWORKS[target]
    with pytest.raises(WrongExport, match=r"x\.py must define `Distillation.*--to must name the target"):
        attach(path, study.space, study.loaded.new_student(0), study.loaded.teacher)
