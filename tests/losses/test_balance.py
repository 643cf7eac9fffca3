import math

import pytest
import torch
from torch import nn

from mapsearch.core.layers import Layer
from mapsearch.core.mapping import LayerMapping, Pair
from mapsearch.core.recipe import Recipe
from mapsearch.losses.balance import Gate, Uncertainty
from mapsearch.losses.gradients import term_gradients
from mapsearch.losses.recipe_loss import RecipeLoss

LAYERS = (Layer("0", "Linear", "vector", (4,), 1), Layer("1", "Linear", "vector", (4,), 1))
MAPPING = LayerMapping((Pair("0", "0", 1.0), Pair("1", "1", 3.0)))


def terms_of(student, loss, target, teacher):
    """Terms whose task pulls the output to `target` and whose features pull to `teacher`."""
    first = student[0](torch.ones(2, 4))
    last = student[1](first)
    features = {"0": first, "1": last}
    return loss.terms((last - target).square().mean(), last, None, features, dict.fromkeys("01", teacher))


def gated(projector="none", **fields):
    recipe = Recipe(MAPPING, projector=projector, feature_share=0.5, balance="gate", loss="cosine", **fields)
    return RecipeLoss(recipe, LAYERS, LAYERS)


def identity_student():
    student = nn.Sequential(nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False))
    for layer in student:
        nn.init.eye_(layer.weight)
    return student


FAR = torch.tensor([3.0, 1.0, 1.0, 1.0]).expand(2, 4)


@pytest.mark.parametrize(("target", "open_"), [(FAR, True), (2 - FAR, False)])
def test_a_feature_gradient_passes_only_if_it_does_not_oppose_the_task(target, open_):
    student, loss = identity_student(), gated()
    terms = terms_of(student, loss, target, FAR)
    features = torch.stack([terms[name] for name in loss.names]).sum()
    own = torch.autograd.grad(features, list(student.parameters()), allow_unused=True)
    assert [bool(gradient.abs().sum() > 0) for gradient in own] == [open_, open_]
    assert loss.gate.dropped() == [1 - open_] * 2


def test_terms_at_one_student_layer_are_each_held_against_the_task():
    mapping = LayerMapping((Pair("0", "0", 1.0), Pair("0", "1", 1.0)))
    loss = RecipeLoss(Recipe(mapping, "cosine", "none", feature_share=0.5, balance="gate"), LAYERS, LAYERS)
    feature = torch.ones(2, 4, requires_grad=True)
    teacher = {"0": FAR, "1": 2 - FAR}  # the second pulls away from what the task wants
    terms = loss.terms((feature - FAR).square().mean(), feature, None, {"0": feature}, teacher)
    sum(terms.values()).backward()
    assert loss.gate.dropped() == [0.0, 1.0]


def test_the_gate_changes_neither_values_nor_the_task_gradient_nor_the_projectors():
    gate, frozen = gated("linear"), RecipeLoss(Recipe(MAPPING, "cosine", feature_share=0.5), LAYERS, LAYERS)
    student, found = identity_student(), []
    for loss in (gate, frozen):
        terms = terms_of(student, loss, -FAR, FAR)
        task = torch.autograd.grad(terms["task"], student[0].weight, retain_graph=True)[0]
        projectors = torch.autograd.grad(sum(terms.values()), list(loss.parameters()), retain_graph=True)
        found.append([*terms.values(), task, *projectors])
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))


def test_a_closed_gate_is_no_dead_term():
    student, loss = identity_student(), gated()
    terms = terms_of(student, loss, 2 - FAR, FAR)
    assert all(term_gradients(terms, student, loss)[name].student > 0 for name in loss.names)
    assert loss.gate.dropped() == [0.0, 0.0], "looking at terms is no step"
    torch.stack([*terms.values()]).sum().backward()
    assert loss.gate.dropped() == [1.0, 1.0]


def test_a_layer_beside_the_output_and_an_unlabelled_batch_have_nothing_to_oppose():
    feature, aside = torch.ones(2, 4, requires_grad=True), torch.ones(2, 4, requires_grad=True)
    first, second = Gate(2)([feature, aside], feature.sum())
    (first.sum() * -1 + second.sum() * -1).backward()
    assert aside.grad.tolist() == [[-1.0] * 4] * 2
    assert feature.grad.tolist() == [[0.0] * 4] * 2
    given = [torch.ones(2, 4, requires_grad=True)]
    assert Gate(1)(given, torch.tensor(1.0)) == given
    with torch.no_grad():
        assert Gate(1)(given, given[0].sum()) == given


def test_uncertainty_begins_with_the_recipes_own_weights():
    student, recipe = identity_student(), Recipe(MAPPING, feature_share=0.5)
    frozen, learned = (
        terms_of(student, RecipeLoss(r, LAYERS, LAYERS), FAR, FAR + torch.eye(4)[:2])
        for r in (recipe, Recipe(MAPPING, feature_share=0.5, balance="uncertainty"))
    )
    assert {k: float(v.detach()) for k, v in frozen.items()} == {k: float(v.detach()) for k, v in learned.items()}


def test_uncertainty_ends_where_every_term_contributes_its_share():
    uncertainty, losses, shares = Uncertainty(3), [torch.tensor(x) for x in (0.2, 1.0, 5.0)], [0.3, 0.2, 0.5]
    optimizer = torch.optim.Adam(uncertainty.parameters(), lr=0.01)
    for _ in range(500):
        optimizer.zero_grad()
        torch.stack(uncertainty(shares, losses)).sum().backward()
        optimizer.step()
    logs = (uncertainty.LOG_VARIANCE_UNIT * uncertainty.log_variances).tolist()
    assert logs == pytest.approx([math.log(float(x)) for x in losses], abs=0.02)
    terms = uncertainty(shares, losses)
    contributions = [float(t.detach()) - w * s for t, w, s in zip(terms, shares, logs, strict=True)]
    assert contributions == pytest.approx(shares, rel=0.03)


def test_a_recipe_without_features_can_be_balanced_too():
    for balance in ("uncertainty", "gate"):
        loss = RecipeLoss(Recipe(output_weight=1.0, balance=balance), (), ())
        logits = torch.randn(4, 3, requires_grad=True)
        loss(logits.square().mean(), logits, torch.randn(4, 3), {}, {}).backward()
        assert logits.grad.abs().sum() > 0
