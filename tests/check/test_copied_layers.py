import copy

import torch
from small_tasks import ResidualConvNet
from torch import nn

from mapsearch.check.copied_layers import copied_layers
from mapsearch.check.preflight import check
from mapsearch.core.layers import Layer
from mapsearch.core.space import RecipeSpace


def network(depth, width=4):
    return nn.ModuleDict({"blocks": nn.Sequential(*(nn.Sequential(nn.Linear(width, width)) for _ in range(depth)))})


def space(S, T):
    return RecipeSpace(*(tuple(Layer(f"blocks.{i}", "Linear", "vector", (4,), 1) for i in range(n)) for n in (S, T)))


def truncated(teacher, chosen):
    student = network(len(chosen))
    for own, t in zip(student["blocks"], chosen, strict=True):
        own.load_state_dict(teacher["blocks"][t].state_dict())
    return student


def test_layers_that_start_from_the_teachers_weights_are_found():
    teacher = network(6)
    student = truncated(teacher, [0, 2, 5])
    assert copied_layers(student, teacher, space(3, 6)) == {
        "blocks.0": "blocks.0",
        "blocks.1": "blocks.2",
        "blocks.2": "blocks.5",
    }
    with torch.no_grad():
        student["blocks"][1][0].bias += 1e-6
    assert copied_layers(student, teacher, space(3, 6)) == {"blocks.0": "blocks.0", "blocks.2": "blocks.5"}


def test_a_student_of_its_own_copies_nothing():
    assert copied_layers(network(3), network(6), space(3, 6)) == {}
    assert copied_layers(network(3, width=2), network(6), space(3, 6)) == {}


def test_constant_weights_are_copied_from_nowhere():
    student, teacher = (nn.ModuleDict({"blocks": nn.Sequential(nn.LayerNorm(4))}) for _ in range(2))
    assert copied_layers(student, teacher, space(1, 1)) == {}


def test_a_copy_in_another_precision_is_one():
    teacher = network(2).to(torch.bfloat16)
    student = truncated(teacher, [1])
    assert copied_layers(student, teacher, space(1, 2)) == {"blocks.0": "blocks.1"}


def test_of_equal_teacher_layers_the_one_at_the_nearest_depth_is_named():
    teacher = network(4)
    for block in teacher["blocks"]:
        block.load_state_dict(teacher["blocks"][0].state_dict())
    student = truncated(teacher, [0, 0])
    assert copied_layers(student, teacher, space(2, 4)) == {"blocks.0": "blocks.0", "blocks.1": "blocks.3"}


def test_the_check_names_them(vision, study):
    kept = []
    loaded = vision(student=lambda: copy.deepcopy(kept[0]).requires_grad_() if kept else ResidualConvNet(4, 2))
    assert check(loaded, study()).copied == {}
    kept.append(loaded.teacher)
    report = check(loaded, study())
    assert report.copied == {f"blocks.{i}": f"blocks.{i}" for i in range(4)}
    assert "layers.copied" in {finding.code for finding in report.findings if finding.level == "ok"}
