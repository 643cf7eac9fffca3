import pytest
import torch
from findings import codes, message
from rounded_products import RoundedProducts
from small_tasks import ResidualConvNet
from torch import nn

from mapsearch.check import check
from mapsearch.core.errors import CheckFailed
from mapsearch.core.layers import Layer
from mapsearch.core.mapping import LayerMapping, Pair
from mapsearch.core.recipe import Recipe
from mapsearch.losses.gradients import check_optimizer
from mapsearch.losses.recipe_loss import RecipeLoss


def test_a_constant_student_feature_is_refused(vision, study):
    def student():
        made = ResidualConvNet(4, 2)
        with torch.no_grad():
            made.stem.weight.zero_()
            made.stem.bias.fill_(-1.0)
        made.blocks.insert(0, nn.Sequential(nn.ReLU()))
        return made

    report = check(vision(student=student), study(layers={"student": ["blocks.0"]}))
    assert "`blocks.0 <- blocks.3`" in message(report, "gradients.dead_term")


def test_a_projector_left_out_of_the_optimizer_is_refused():
    layer = Layer("a", "Conv2d", "map", (4, 3, 3), 1)
    loss = RecipeLoss(Recipe(LayerMapping((Pair("a", "a", 1.0),)), feature_share=0.5), [layer], [layer])
    with pytest.raises(CheckFailed, match="in the optimizer, but 2 are not"):
        check_optimizer(loss, torch.optim.SGD(nn.Linear(2, 2).parameters(), lr=0.1))


def test_a_teacher_that_is_not_the_same_twice_is_refused(vision, study):
    class Noisy(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = ResidualConvNet(8, 4)

        def forward(self, x):
            return self.net(x + 0.1 * torch.randn_like(x))

    report = check(vision(teacher=Noisy), study(layers={"teacher": ["net.blocks.*"]}))
    assert "`net.blocks." in message(report, "self-test.random_teacher")


def test_a_teacher_layer_that_is_the_same_for_every_sample_is_refused(vision, study):
    loaded = vision()
    with torch.no_grad():
        loaded.teacher.blocks[1].layer.weight.zero_()
        loaded.teacher.blocks[1].layer.bias.zero_()
    report = check(loaded, study(layers={"teacher": ["blocks.1.layer", "blocks.2"]}))
    assert "`blocks.1.layer`" in message(report, "self-test.constant_layer")


def test_products_in_tf32_do_not_fail_the_self_test(vision, text, study):
    for task in (vision, text):
        loaded = task()
        with RoundedProducts() as emulated:
            report = check(loaded, study())
        assert emulated.n_rounded
        assert not report.errors, report.errors


def test_positions_that_are_all_zero_are_a_warning_for_cosine(vision, study):
    teacher = vision().teacher
    teacher.blocks.append(nn.Sequential(nn.Hardshrink(2.0)))
    report = check(vision(teacher=lambda: teacher), study(layers={"teacher": ["blocks.4"]}))
    assert "self-test.zero_positions" in codes(report, "warning")
    assert "cosine of `blocks.4 <- blocks.4`" in message(report, "self-test.zero_positions")
