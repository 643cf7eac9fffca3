import math
from dataclasses import replace

import pytest
import torch

from mapsearch.core.errors import MappingError
from mapsearch.core.layers import Layer
from mapsearch.core.losses import LOSS_TRAITS
from mapsearch.core.mapping import LayerMapping, Pair
from mapsearch.core.recipe import Recipe
from mapsearch.losses.recipe_loss import RecipeLoss

STUDENT = (Layer("s.0", "Block", "vector", (3,), 1), Layer("s.1", "Block", "tokens", (4, 3), 1))
TEACHER = (Layer("t.0", "Block", "vector", (3,), 1), Layer("t.1", "Block", "vector", (3,), 1),
           Layer("t.2", "Block", "tokens", (4, 5), 1))  # fmt: skip
MAPPING = LayerMapping((Pair("s.0", "t.0", 1.0), Pair("s.0", "t.1", 3.0)))


def randn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def features(seed=0):
    student = {"s.0": randn(6, 3, seed=seed), "s.1": randn(6, 4, 3, seed=seed + 1)}
    teacher = {
        "t.0": randn(6, 3, seed=seed + 2),
        "t.1": randn(6, 3, seed=seed + 3),
        "t.2": randn(6, 4, 5, seed=seed + 4),
    }
    return student, teacher


def test_the_total_is_the_documented_formula():
    recipe = Recipe(
        MAPPING, "nmse", "none", feature_share=0.8, task_weight=0.5, output_weight=2.0, temperature=4.0, anneal=0.5
    )
    loss = RecipeLoss(recipe, STUDENT, TEACHER)
    loss.scales.copy_(torch.tensor([2.0, 0.25]))
    student, teacher = features()
    s, t = student["s.0"].double(), [teacher[name].double() for name in ("t.0", "t.1")]
    nmse = [float((s - x).square().sum() / (x - x.mean(0)).square().sum()) for x in t]
    s_logits, t_logits = torch.tensor([[0.0, 0.0]]), torch.tensor([[4 * math.log(3), 0.0]])
    kl = 0.75 * math.log(0.75 / 0.5) + 0.25 * math.log(0.25 / 0.5)
    fade = 0.5 * (1 + math.cos(math.pi * 0.2 / 0.5))

    terms = loss.terms(torch.tensor(1.5), s_logits, t_logits, student, teacher, progress=0.2)

    assert {name: float(term) for name, term in terms.items()} == pytest.approx({
        "task": 0.2 * 0.5 * 1.5,
        "outputs": 0.2 * 2.0 * 4.0**2 * kl,
        "s.0 <- t.0": 0.8 * fade * 0.25 * nmse[0] / 2.0,
        "s.0 <- t.1": 0.8 * fade * 0.75 * nmse[1] / 0.25,
    }, rel=1e-5)  # fmt: skip


def test_each_layer_has_its_own_mask_and_so_have_the_outputs():
    tokens = [Layer(name, "Block", "tokens", (4, 3), 1) for name in ("encoder.0", "decoder.0")]
    mapping = LayerMapping(tuple(Pair(layer.path, layer.path, 1.0) for layer in tokens))
    loss = RecipeLoss(Recipe(mapping, "nmse", "none", feature_share=0.5, output_weight=1.0), tokens, tokens)
    read, written = torch.arange(4) < 3, torch.arange(4) < 2
    student, teacher = (
        {layer.path: randn(2, 4, 3, seed=seed + i) for i, layer in enumerate(tokens)} for seed in (0, 5)
    )
    outputs = randn(2, 4, 5, seed=10), randn(2, 4, 5, seed=11)
    masks = {"encoder": read.expand(2, 4), "decoder": written.expand(2, 4), "outputs": written.expand(2, 4)}

    terms = loss.terms(torch.tensor(0.0), *outputs, student, teacher, masks)

    cut = [{name: x[:, : 3 if name == "encoder.0" else 2] for name, x in one.items()} for one in (student, teacher)]
    expected = loss.terms(torch.tensor(0.0), *(x[:, :2] for x in outputs), *cut)
    assert {name: float(x) for name, x in terms.items()} == pytest.approx({k: float(x) for k, x in expected.items()})


@pytest.mark.parametrize("name", [name for name, traits in LOSS_TRAITS.items() if traits.compares[0] in "cs"])
@pytest.mark.parametrize("share", [0.2, 0.8])
def test_after_calibration_the_feature_part_is_its_share(name, share):
    loss = RecipeLoss(Recipe(MAPPING, name, feature_share=share), STUDENT, TEACHER)
    batches = [(*features(seed), None) for seed in (0, 10)]
    loss.calibrate(batches)
    parts = [
        sum(float(v.detach()) for k, v in loss.terms(torch.tensor(1.0), None, None, s, t).items() if k != "task")
        for s, t, _ in batches
    ]
    assert sum(parts) / 2 == pytest.approx(share, rel=1e-5)


def test_terms_are_only_what_the_recipe_needs():
    student, teacher = features()
    assert list(RecipeLoss(Recipe(), STUDENT, TEACHER).terms(torch.tensor(1.0), None, None, {}, {})) == ["task"]
    only_features = RecipeLoss(Recipe(MAPPING, feature_share=1.0, output_weight=1.0), STUDENT, TEACHER)
    terms = only_features.terms(torch.tensor(1.0), None, None, student, teacher)
    assert float(terms["task"]) == 0
    assert list(terms) == ["task", "s.0 <- t.0", "s.0 <- t.1"]


def test_the_feature_part_fades_from_one_to_zero():
    loss = RecipeLoss(Recipe(MAPPING, feature_share=0.5, anneal=0.5), STUDENT, TEACHER)
    assert [loss.fade(p) for p in (0.0, 0.25, 0.5, 0.75, 1.0)] == pytest.approx([1, 0.5, 0, 0, 0])
    fades = [loss.fade(p / 100) for p in range(101)]
    assert fades == sorted(fades, reverse=True)


@pytest.mark.parametrize("fields", [{}, {"balance": "gate"}, {"balance": "uncertainty"}, {"aggregation": "mix"}])
def test_from_their_end_on_features_leave_all_else_as_it_is(fields):
    mapping = MAPPING if "aggregation" not in fields else LayerMapping((Pair("s.0", "t.0", 1.0),))
    recipe = Recipe(mapping, feature_share=0.5, anneal=None, features_until=0.5, **fields)
    loss = RecipeLoss(recipe, STUDENT, TEACHER)
    assert [loss.fade(p) for p in (0.0, 0.49, 0.5, 1.0)] == [1, 1, 0, 0]
    student, teacher = features()
    before, after = (loss.terms(torch.tensor(1.0), None, None, student, teacher, progress=p) for p in (0.49, 0.5))
    assert list(before) == list(after)
    assert after["task"] == before["task"]
    assert all(float(term.detach()) == 0 for name, term in after.items() if name != "task")
    assert all(float(term.detach()) > 0 for name, term in before.items())


def test_padding_is_left_out_of_token_pairs_and_logits():
    recipe = Recipe(LayerMapping((Pair("s.1", "t.2", 1.0),)), feature_share=0.5, output_weight=1.0)
    loss = RecipeLoss(recipe, STUDENT, TEACHER)
    mask = torch.arange(4) < torch.tensor([[2], [4], [1], [3], [4], [2]])
    totals = []
    for rubbish in (0.0, 1e5):
        student, teacher = features()
        logits = [randn(6, 4, 2, seed=seed) for seed in (20, 21)]
        for tensor in (student["s.1"], teacher["t.2"], *logits):
            tensor[~mask] = rubbish
        terms = loss.terms(torch.tensor(0.0), *logits, student, teacher, mask)
        totals.append(float(sum(terms.values()).detach()))
    assert totals[0] == pytest.approx(totals[1], rel=1e-6)


def test_pairs_that_cannot_be_matched_are_refused():
    bad = LayerMapping((Pair("s.0", "t.2", 1.0), Pair("s.9", "t.0", 1.0)))
    with pytest.raises(MappingError, match=r"`s\.0 <- t\.2`.*vector.*tokens") as caught:
        RecipeLoss(Recipe(bad, feature_share=0.5), STUDENT, TEACHER)
    assert "student has no layer `s.9`" in str(caught.value)


def test_a_projector_starts_alike_in_every_recipe_of_a_seed():
    def weights(pairs, seed=0, **fields):
        mapping = LayerMapping(tuple(Pair("s.0", teacher, 1.0) for teacher in pairs))
        loss = RecipeLoss(Recipe(mapping, feature_share=0.5, **fields), STUDENT, TEACHER, seed)
        return dict(zip(pairs, (p.projection.weight for p in loss.projectors), strict=True))

    torch.manual_seed(1)
    alone = weights(["t.1"])["t.1"]
    expected = torch.rand(1)
    torch.manual_seed(1)
    assert torch.equal(weights(["t.0", "t.1"], loss="cosine")["t.1"], alone)
    assert torch.equal(torch.rand(1), expected)  # the caller's generator is left alone
    assert not torch.equal(weights(["t.0", "t.1"])["t.0"], alone)
    assert not torch.equal(weights(["t.1"], seed=1)["t.1"], alone)


@pytest.mark.parametrize("loss", LOSS_TRAITS)
def test_only_what_a_loss_needs_is_learned(loss):
    tokens = LayerMapping((Pair("s.1", "t.2", 1.0),))
    shapes = {"channels": [(5, 3), (5,)]}.get(LOSS_TRAITS[loss].compares, [])
    shapes += [(5,)] if loss == "vid" else []
    recipe = Recipe(tokens, loss, feature_share=0.5)
    assert [p.shape for p in RecipeLoss(recipe, STUDENT, TEACHER).parameters()] == shapes
    mlp = RecipeLoss(replace(recipe, projector="mlp"), STUDENT, TEACHER)
    assert len(list(mlp.parameters())) == len(shapes) + 2 * bool(shapes)


def test_without_a_projector_nothing_is_learned():
    assert not list(RecipeLoss(Recipe(MAPPING, projector="none", feature_share=0.5), STUDENT, TEACHER).parameters())


def test_scales_travel_with_the_state():
    recipe = Recipe(MAPPING, feature_share=0.5)
    loss, other = RecipeLoss(recipe, STUDENT, TEACHER), RecipeLoss(recipe, STUDENT, TEACHER, seed=1)
    loss.calibrate([(*features(), None)])
    other.load_state_dict(loss.state_dict())
    assert torch.equal(other.scales, loss.scales)
    assert other.scales.ne(1).all()


def test_a_layer_and_its_copy_do_not_outweigh_the_other_pairs():
    loss = RecipeLoss(Recipe(MAPPING, projector="none", feature_share=0.5), STUDENT, TEACHER)
    student, teacher = features()
    student["s.0"] = teacher["t.1"].clone()
    loss.calibrate([(student, teacher, None)])
    assert loss.names == ("s.0 <- t.0", "s.0 <- t.1")
    assert loss.scales.tolist() == [pytest.approx(2.4, abs=0.1), pytest.approx(0.1)]


def test_none_never_fades():
    recipe = Recipe(LayerMapping((Pair("s.0", "t.0", 1.0),)), feature_share=0.8, anneal=None)
    layers = [(Layer(f"{name}.0", "Linear", "vector", (4,), 1),) for name in "st"]
    assert [RecipeLoss(recipe, *layers).fade(p) for p in (0.0, 0.5, 1.0)] == [1.0, 1.0, 1.0]
