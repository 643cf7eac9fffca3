"""torchdistill runs the exported config: the trial's loss, its own training loop, and what an edit does."""

import copy
import sys

import pytest
import torch
import yaml
from exported_recipes import EVERYTHING, named, replaced

from mapsearch.core.errors import ExportError, TaskError
from mapsearch.exports.write import write

pytest.importorskip("torchdistill")
RECIPES = EVERYTHING


@pytest.mark.parametrize("recipe", RECIPES, ids=named)
def test_the_loss_is_that_of_the_trial(recipe, distilled, verified):
    report = verified("torchdistill", distilled(**recipe))
    assert report.loss_exported == pytest.approx(report.loss_in_trial, rel=1e-5)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("n_batches: 3", "n_batches: 2", "the loss of step 2, where 25% of the training is done, of the recipe"),
        ("model_term:", "model_trem:", "the loss of the recipe and of the file must be equal"),
        ("train:", "trian:", "cannot be loaded and run: KeyError: 'train'"),
    ],
)
def test_an_edited_config_is_caught(old, new, message, distilled, verified):
    with pytest.raises(ExportError, match=message):
        verified("torchdistill", distilled("images"), replaced(old, new))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('["blocks.2"]', '["blocks.1"]', "the loss of the recipe and of the file must be equal"),
        ('["blocks.2"]', '["blocks.9"]', "the teacher has no layer `blocks.9`"),
        ("TEMPERATURE = 3.0", "TEMPERATURE = 2.0", "the loss of the recipe and of the file must be equal"),
        ("ANNEAL = 0.5", "ANNEAL = None", "the loss of step 2, where 25% of the training is done, of the recipe"),
        ("clamp(min=1e-12)\n", "clamp(min=1e12)\n", "the loss of the recipe and of the file must be equal"),
    ],
)
def test_an_edited_plugin_is_caught(old, new, message, distilled, verified):
    def edit(path):
        replaced(old, new)(path.with_name("export_torchdistill_plugin.py"))

    with pytest.raises(ExportError, match=message):
        verified("torchdistill", distilled("images"), edit)


def test_a_task_with_a_loss_of_its_own_is_told_apart_from_a_wrong_file(distilled, verified, monkeypatch):
    study = distilled("images")
    whole = study.loaded.task.loss
    monkeypatch.setattr(study.loaded.task, "loss", lambda output, batch: 2 * whole(output, batch))
    with pytest.raises(TaskError, match=r"own loss on the labels is .*, but the task's is .*: put the"):
        verified("torchdistill", study)


@pytest.mark.parametrize("task", ["images", "bert"])
def test_its_own_box_trains_student_and_projectors(task, distilled, tmp_path, monkeypatch):
    from torchdistill.common.main_util import import_dependencies
    from torchdistill.common.yaml_util import load_yaml_file
    from torchdistill.core.distillation import get_distillation_box

    study = distilled(task)
    write("torchdistill", study.source, tmp_path / f"{task}.yaml")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    config = load_yaml_file(str(tmp_path / f"{task}.yaml"))
    import_dependencies(config["dependencies"])
    student, teacher = study.loaded.new_student(0), copy.deepcopy(study.loaded.teacher)
    bare = copy.deepcopy(student)
    data = study.loaded.train
    config["train"]["train_data_loader"]["kwargs"]["batch_size"] = 8
    config["train"]["train_data_loader"]["requires_supp"] = False
    box = get_distillation_box(
        teacher, student, {"train": data}, config["train"], torch.device("cpu"), None, False, 1.0
    )
    before = copy.deepcopy(box.student_model.state_dict())
    box.pre_epoch_process(epoch=0)
    losses = []
    for batch in box.train_data_loader:
        inputs, targets = (batch, batch["labels"]) if isinstance(batch, dict) else batch
        box.pre_forward_process()
        loss = box.forward_process(inputs, targets, None)
        box.post_forward_process(loss=loss)
        losses.append(loss.item())
    after = box.student_model.state_dict()
    still = [name for name in after if torch.equal(before[name], after[name])]
    assert not [name for name in still if "terms" in name], "projectors learn"
    assert after["n_done"] == len(losses) > 2
    bare.load_state_dict(student.state_dict())


def test_the_config_is_yaml_that_names_the_mapping(distilled, tmp_path):
    write("torchdistill", distilled("images").source, tmp_path / "1 run.yaml")
    text = (tmp_path / "1 run.yaml").read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1 run.yaml", "_1_run_plugin.py"]
    assert yaml.safe_load(text.replace("!import_get", ""))["dependencies"] == [{"name": "_1_run_plugin"}]
