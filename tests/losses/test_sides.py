"""What the teacher's side of a loss gives is made once for a batch, and changes no number."""

from itertools import product
from typing import get_args

import pytest
import torch

from mapsearch.core.layers import Layer
from mapsearch.core.mapping import LayerMapping, Pair
from mapsearch.core.recipe import FeatureLossName, Recipe
from mapsearch.core.space import pair_problem
from mapsearch.losses.recipe_loss import FEATURE_LOSSES, RecipeLoss
from mapsearch.losses.sides import SIDES, TeacherFeatures

B = 6
SHAPES = {
    "maps": ([("map", 4, 6, 6), ("map", 4, 3, 3)], [("map", 5, 6, 6), ("map", 5, 4, 4)]),
    "tokens": ([("tokens", 5, 4), ("tokens", 5, 4)], [("tokens", 5, 6), ("tokens", 5, 8)]),
    "patches": ([("tokens", 17, 4), ("map", 4, 3, 3)], [("map", 5, 4, 4), ("tokens", 10, 6)]),
    "vectors": ([("vector", 4), ("vector", 4)], [("vector", 6), ("vector", 6)]),
}


def layers(shapes, name):
    return [Layer(f"{name}.{i}", "Block", kind, tuple(shape), 1) for i, (kind, *shape) in enumerate(shapes)]


def randn(shape, seed):
    return torch.randn(B, *shape, generator=torch.Generator().manual_seed(seed))


def losses_and_gradients(loss, teacher, shapes, mask):
    """The losses of two students of one batch, with what each student's features and projectors learn."""
    found = []
    for seed in (0, 10):
        student = {f"s.{i}": randn(shape, seed + i).requires_grad_() for i, (_, *shape) in enumerate(shapes)}
        values = loss.feature_losses(student, teacher, mask)
        learning = [*student.values(), *loss.parameters()]
        found += [values.detach(), *torch.autograd.grad(values.sum(), learning, allow_unused=True)]
    return found


def mapping(name, case):
    """Every pair that the loss can match."""
    student, teacher = (layers(shapes, letter) for shapes, letter in zip(SHAPES[case], "st", strict=True))
    return LayerMapping(
        tuple(Pair(s.path, t.path, 1.0) for s in student for t in teacher if not pair_problem(s, t, name, "linear"))
    )


@pytest.mark.parametrize(("name", "case"), [x for x in product(get_args(FeatureLossName), SHAPES) if mapping(*x).pairs])
def test_sharing_the_teachers_side_changes_no_bit(name, case):
    student, teacher = (layers(shapes, letter) for shapes, letter in zip(SHAPES[case], "st", strict=True))
    recipe = Recipe(mapping=mapping(name, case), loss=name, projector="linear", feature_share=0.5)
    loss, features = RecipeLoss(recipe, student, teacher), {x.path: randn(x.shape, 20) for x in teacher}
    mask = torch.arange(5) < torch.tensor([[5], [3], [4], [5], [2], [1]]) if case == "tokens" else None
    expected = losses_and_gradients(loss, features, SHAPES[case][0], mask)
    found = losses_and_gradients(loss, TeacherFeatures(features), SHAPES[case][0], mask)
    for one, other in zip(expected, found, strict=True):
        assert (one is None and other is None) or torch.equal(one, other)


def test_every_loss_but_one_has_sides_in_the_order_of_the_table():
    assert [name for name in FEATURE_LOSSES if name != "attention_relation"] == list(SIDES)


def test_a_thing_is_made_once_for_each_key():
    made, batch = [], TeacherFeatures({"t.0": torch.zeros(2, 3)})
    masks = torch.zeros(2, dtype=torch.bool), torch.zeros(2, dtype=torch.bool)
    for mask in (*masks, *masks, None):
        batch.once(("nmse", "t.0", mask), lambda: made.append(1))
    assert len(made) == 3
    assert batch["t.0"].shape == (2, 3)
