"""ModelOpt runs the exported builder: the trial's loss, its own training loop, and what an edit does."""

import copy
from dataclasses import replace

import pytest
import torch
from exported_recipes import EVERYTHING, named, replaced
from torch import nn

from mapsearch.core.errors import ExportError
from mapsearch.core.layers import Layer
from mapsearch.core.mapping import LayerMapping, Pair
from mapsearch.exports.frameworks.execute import executed
from mapsearch.exports.frameworks.modelopt import load
from mapsearch.exports.write import write
from mapsearch.tasks.training_batches import train_batches

pytest.importorskip("modelopt.torch.distill")
RECIPES = EVERYTHING


@pytest.mark.parametrize("recipe", RECIPES, ids=named)
def test_the_loss_is_that_of_the_trial(recipe, distilled, verified):
    report = verified("modelopt", distilled(**recipe))
    assert report.loss_exported == pytest.approx(report.loss_in_trial, rel=1e-5)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('["blocks.2"]', '["blocks.1"]', "the loss of the recipe and of the file must be equal"),
        ('["blocks.2"]', '["blocks.9"]', "the teacher has no layer `blocks.9`"),
        ("TEMPERATURE = 3.0", "TEMPERATURE = 2.0", "the loss of the recipe and of the file must be equal"),
        ("ANNEAL = 0.5", "ANNEAL = None", "the loss of step 2, where 25% of the training is done, of the recipe"),
    ],
)
def test_an_edited_file_is_caught(old, new, message, distilled, verified):
    with pytest.raises(ExportError, match=message):
        verified("modelopt", distilled("images"), replaced(old, new))


def test_its_own_loop_trains_projectors_and_gives_the_student_back(distilled, tmp_path):
    study = distilled("images")
    write("modelopt", study.source, tmp_path / "kd.py")
    names = executed(tmp_path / "kd.py")
    student, teacher = study.loaded.new_student(0), copy.deepcopy(study.loaded.teacher)
    bare = list(student.state_dict())
    model = names["build"](student, teacher)
    assert len(model.loss_modules) == 1
    before = [p.detach().clone() for p in model.loss_modules.parameters()]
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    for step, (x, y) in enumerate(train_batches(study.loaded, 8, 0, 3)):
        logits = model(x)
        total = model.compute_kd_loss(student_loss=study.loaded.task.loss(logits, (x, y)), progress=step / 3)
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
    assert not any(torch.equal(old, new) for old, new in zip(before, model.loss_modules.parameters(), strict=True))
    back = names["finish"](model)
    assert back is student
    assert list(student.state_dict()) == bare
    assert not any(m._forward_hooks or m._forward_pre_hooks for net in (student, teacher) for m in net.modules())


def test_a_checkpoint_gives_every_projector_its_own_weights_back(distilled, tmp_path):
    study = distilled("tags")
    write("modelopt", study.source, tmp_path / "kd.py")
    names = executed(tmp_path / "kd.py")
    models = [names["build"](study.loaded.new_student(i), copy.deepcopy(study.loaded.teacher)) for i in range(2)]
    models[1].load_state_dict(models[0].state_dict())
    terms = [[term for loss in model.loss_modules for term in loss.loss.matching.terms] for model in models]
    weights = [[term.projector.projection.weight for term in own] for own in terms]
    assert len(weights[0]) == 3
    assert all(torch.equal(one, other) for one, other in zip(*weights, strict=True))


class Held(nn.Module):
    def __init__(self, module):
        super().__init__()
        self.module = module

    def forward(self, x):
        return self.module(x)


def test_a_student_that_would_run_its_new_children_is_refused_and_the_way_out_works(distilled, tmp_path):
    source = distilled("images").source
    recipe = replace(source.recipe, mapping=LayerMapping((Pair("0", "0", 1.0),)))
    layer = Layer("0", "Conv2d", "map", (4, 4, 4), 1)
    path = tmp_path / "x.py"
    write("modelopt", replace(source, recipe=recipe, student=(layer,), teacher=(layer,), scales=(1.0,)), path)
    build, finish = (executed(path)[name] for name in ("build", "finish"))
    student, teacher = (nn.Sequential(nn.Conv2d(3, 4, 3, 2), nn.Flatten(), nn.Linear(64, 4)) for _ in range(2))
    with pytest.raises(TypeError, match="ModelOpt adds children to the student"):
        build(student, teacher)
    model, x = build(Held(student), teacher), torch.randn(8, 3, 9, 9)
    model.compute_kd_loss(student_loss=model(x).square().mean()).backward()
    assert finish(model).module is student


def test_files_are_verified_in_one_process_however_often_the_networks_are_defined_anew(
    distilled, verified, monkeypatch
):
    """Each time a task file is loaded, its classes are new ones of the same name."""
    study = distilled("images")
    student = study.loaded.task.student

    def anew():
        network = student()
        old = type(network)
        forward = {"forward": lambda self, x: old.forward(self, x), "__module__": "mapsearch_task_task"}
        network.__class__ = type(old.__name__, (old,), forward)
        return network

    monkeypatch.setattr(study.loaded.task, "student", anew)
    for n in range(4):
        assert verified("modelopt", study, name=f"export_{n}").differences == ()


def test_a_class_that_modelopt_knew_before_stays_known(distilled, tmp_path):
    from modelopt.torch.distill import DistillationDMRegistry

    study = distilled("tags")
    write("modelopt", study.source, tmp_path / "kd.py")
    teacher = study.loaded.teacher
    names = executed(tmp_path / "kd.py")
    names["build"](study.loaded.new_student(0), copy.deepcopy(teacher))
    student = study.loaded.new_student(0)
    load(tmp_path / "kd.py", study.space, student, copy.deepcopy(teacher)).close()
    assert type(student) in DistillationDMRegistry
