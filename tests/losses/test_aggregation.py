"""Contracts of fused and mixed rows, for every feature loss."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mapsearch.core.layers import Layer
from mapsearch.core.losses import LOSS_TRAITS
from mapsearch.core.mapping import LayerMapping, Pair
from mapsearch.core.recipe import Recipe
from mapsearch.losses.aggregation import Mixture, measure_norms
from mapsearch.losses.recipe_loss import FEATURE_LOSSES, RecipeLoss

STUDENT = (Layer("s.0", "Block", "map", (3, 6, 6), 1), Layer("s.1", "Block", "map", (3, 2, 2), 1))
TEACHER = tuple(Layer(f"t.{i}", "Block", "map", (5, size, size), 1) for i, size in enumerate((8, 4, 4)))
ROWS = LayerMapping((Pair("s.0", "t.0", 1.0), Pair("s.0", "t.1", 3.0), Pair("s.1", "t.2", 4.0)))
MIXING = ("fuse", "mix")
contract = pytest.mark.parametrize("aggregation", MIXING)
every_loss = pytest.mark.parametrize("name", [x for x in FEATURE_LOSSES if LOSS_TRAITS[x].compares != "tokens"])


def randn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def features(seed=0):
    student = {x.path: randn(8, *x.shape, seed=seed + i) for i, x in enumerate(STUDENT)}
    return student, {x.path: randn(8, *x.shape, seed=seed + 9 + i) for i, x in enumerate(TEACHER)}


def loss_of(aggregation, mapping=ROWS, **fields):
    recipe = Recipe(mapping, aggregation=aggregation, **{"feature_share": 1.0, **fields})
    return RecipeLoss(recipe, STUDENT, TEACHER)


def total(loss, student, teacher):
    return loss(torch.tensor(0.0), None, None, student, teacher)


@contract
@every_loss
def test_one_teacher_per_row_is_a_sum_over_divided_features(aggregation, name):
    mapping = LayerMapping((Pair("s.0", "t.0", 1.0), Pair("s.1", "t.2", 2.0)))
    student, teacher = features()
    mixed, summed = (loss_of(kind, mapping, loss=name) for kind in (aggregation, "sum"))
    mixed.calibrate([(student, teacher, None)])
    divided = {path: teacher[path] / norm for path, norm in zip(("t.0", "t.2"), mixed.norms, strict=True)}
    assert min(abs(norm - 1) for norm in mixed.norms) > 1e-4
    expected = summed.feature_losses(student, divided)
    assert torch.allclose(mixed.feature_losses(student, teacher), expected, rtol=1e-5)
    assert mixed.names == summed.names == ("s.0 <- t.0", "s.1 <- t.2")


@contract
@every_loss
@given(weight=st.floats(0.01, 100))
def test_equal_teacher_features_give_one_result_whatever_the_weights(aggregation, name, weight):
    student, teacher = features()
    teacher["t.1"] = teacher["t.0"] = teacher["t.2"]
    values = [
        loss_of(aggregation, LayerMapping((Pair("s.0", "t.1", 1.0), Pair("s.0", "t.2", w))), loss=name)
        for w in (1.0, weight)
    ]
    one, other = (loss.feature_losses(student, teacher) for loss in values)
    assert torch.allclose(one, other, rtol=1e-5)


@every_loss
def test_gradients_reach_the_student_the_projectors_and_learned_weights_only(name):
    student, teacher = features()
    for feature in (*student.values(), *teacher.values()):
        feature.requires_grad_()
    loss = loss_of("mix", loss=name)
    total(loss, student, teacher).backward()
    assert all(feature.grad.abs().sum() > 0 for feature in student.values())
    assert all(feature.grad is None for feature in teacher.values())
    assert {parameter for parameter, value in loss.named_parameters() if not value.grad.abs().sum() > 0} == set()
    assert "mixtures.0.shift" in dict(loss.named_parameters())
    assert "mixtures.1.shift" not in dict(loss.named_parameters()), "a single teacher has nothing to learn"
    assert not [n for n, _ in loss_of("fuse", loss=name).named_parameters() if not n.startswith("projectors")]


@contract
def test_after_calibration_the_feature_part_is_its_share(aggregation):
    loss, batches = loss_of(aggregation, feature_share=0.4), [(*features(seed), None) for seed in (0, 50)]
    loss.calibrate(batches)
    parts = [float(total(loss, s, t).detach()) for s, t, _ in batches]
    assert sum(parts) / 2 == pytest.approx(0.4, rel=1e-5)


@contract
def test_the_scale_of_a_teacher_layer_does_not_matter(aggregation):
    student, teacher = features()
    values = []
    for factor in (1.0, 1000.0):
        loss, scaled = loss_of(aggregation), {**teacher, "t.0": teacher["t.0"] * factor}
        loss.calibrate([(student, scaled, None)])
        values.append(loss.feature_losses(student, scaled))
    assert torch.allclose(*values, rtol=1e-4)


def test_norms_are_the_deviations_around_channel_means_on_the_shared_grid():
    student, teacher = features()
    teacher["t.1"] = teacher["t.1"] * 3 + 7
    loss = loss_of("fuse")
    loss.calibrate([(student, teacher, None)])
    pooled = teacher["t.0"].unfold(2, 2, 2).unfold(3, 2, 2).mean((-1, -2))  # 8x8 -> 4x4
    expected = [x.double().var((0, 2, 3), correction=0).mean().sqrt() for x in (pooled, teacher["t.1"], teacher["t.2"])]
    assert loss.norms == pytest.approx([float(x) for x in expected], rel=1e-5)


def test_padding_does_not_enter_norms_and_a_constant_layer_stays_as_it_is():
    mixture, mask = Mixture("tokens", (0.5, 0.5), (1.0, 1.0), learned=False), torch.tensor([[True, True, False]] * 4)
    found = []
    for rubbish in (0.0, float("nan")):
        feature = randn(4, 3, 2)
        feature[~mask] = rubbish
        measure_norms(mixture, [([feature, torch.ones(4, 3, 2)], mask)])
        found.append(mixture.norms.tolist())
    assert found[0] == found[1]
    assert found[0][1] == 1.0


def test_padding_reaches_neither_the_loss_nor_the_learned_weights():
    layers = tuple(Layer(f"{i}", "Block", "tokens", (3, 2), 1) for i in range(2))
    mapping = LayerMapping((Pair("0", "0", 1.0), Pair("0", "1", 1.0)))
    mask, found = torch.tensor([[True, True, False]] * 4), []
    for rubbish in (0.0, float("nan")):
        loss = RecipeLoss(Recipe(mapping, aggregation="mix", feature_share=1.0), layers, layers)
        teacher = {path: randn(4, 3, 2, seed=i) for i, path in enumerate("01")}
        for feature in teacher.values():
            feature[~mask] = rubbish
        student = {"0": randn(4, 3, 2, seed=5)}
        loss.calibrate([(student, teacher, mask)])
        value = loss(torch.tensor(0.0), None, None, student, teacher, mask)
        value.backward()
        found.append((float(value.detach()), *loss.mixtures[0].shift.grad.tolist()))
    assert found[0] == found[1]
    assert found[0][1] != 0


def test_a_faint_weight_does_not_spoil_the_others():
    student, teacher = features()
    loss = loss_of("mix", LayerMapping((Pair("s.0", "t.0", 1.0), Pair("s.0", "t.1", 1e-60))))
    total(loss, student, teacher).backward()
    assert loss.mixtures[0].shift.grad.isfinite().all()


def test_learned_weights_go_to_the_easier_layer_are_held_back_and_averaged():
    student, teacher = features()
    mapping = LayerMapping((Pair("s.0", "t.1", 1.0), Pair("s.0", "t.2", 1.0)))
    projected = torch.nn.functional.adaptive_avg_pool2d(student["s.0"], 4)
    teacher["t.1"] = torch.cat([projected, projected[:, :2]], 1)  # can be imitated at once
    loss = loss_of("mix", mapping)
    loss.calibrate([(student, teacher, None)])
    assert loss.mixed_weights == pytest.approx((0.5, 0.5))
    optimizer = torch.optim.Adam(loss.parameters(), lr=0.01)
    seen = []
    for _ in range(200):
        seen.append(loss.mixtures[0].weights().tolist())
        optimizer.zero_grad()
        total(loss, student, teacher).backward()
        optimizer.step()
    assert 0.6 < seen[-1][0] < 0.95
    assert loss.mixed_weights == pytest.approx([sum(column) / 200 for column in zip(*seen, strict=True)], rel=1e-4)
    assert sum(loss.mixed_weights) == pytest.approx(1)


@contract
def test_looking_is_no_training_step(aggregation):
    loss, (student, teacher) = loss_of(aggregation), features()
    with torch.no_grad():
        total(loss, student, teacher)
    assert loss.mixtures[0].travelled.tolist() == [0.0, 0.0]


@contract
def test_what_was_calibrated_can_be_restored(aggregation):
    loss, other, (student, teacher) = loss_of(aggregation), loss_of(aggregation), features()
    loss.calibrate([(student, teacher, None)])
    other.restore(loss.scales.tolist(), loss.norms)
    assert torch.equal(total(loss, student, teacher), total(other, student, teacher))
