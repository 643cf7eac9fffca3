"""What every feature loss promises, held for every row of the table and every kind of pair it may be given."""

from itertools import product
from typing import get_args

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from mapsearch.core.layers import Layer
from mapsearch.core.losses import LOSS_TRAITS
from mapsearch.core.mapping import LayerMapping, Pair
from mapsearch.core.projectors import projector_arguments
from mapsearch.core.recipe import FeatureLossName, Recipe
from mapsearch.core.space import pair_problem
from mapsearch.losses.projectors import Projector
from mapsearch.losses.recipe_loss import FEATURE_LOSSES, RecipeLoss

# (student, teacher), each (kind, *shape without the batch)
EQUAL = {
    "vector": (("vector", 6), ("vector", 6)),
    "tokens": (("tokens", 5, 6), ("tokens", 5, 6)),
    "map1d": (("map", 6, 5), ("map", 6, 5)),
    "map2d": (("map", 6, 4, 3), ("map", 6, 4, 3)),
    "map3d": (("map", 6, 2, 3, 2), ("map", 6, 2, 3, 2)),
}
OTHER = {
    "vector-wide": (("vector", 6), ("vector", 9)),
    "tokens-wide": (("tokens", 5, 6), ("tokens", 5, 9)),
    "map2d-small": (("map", 6, 8, 8), ("map", 9, 4, 4)),
    "vit-cnn": (("tokens", 17, 6), ("map", 9, 8, 8)),
    "cnn-vit": (("map", 6, 7, 7), ("tokens", 21, 9)),
    "map-vector": (("map", 6, 4, 4), ("vector", 9)),
    "vector-tokens": (("vector", 6), ("tokens", 5, 9)),
}
B = 16


def layers(case):
    return [Layer(f"{name}.0", "Block", kind, tuple(shape), 1) for name, (kind, *shape) in zip("st", case, strict=True)]


def cases(table):
    return [
        pytest.param(name, case, id=f"{name}-{label}")
        for name in FEATURE_LOSSES
        for label, case in table.items()
        if not pair_problem(*layers(case), name, "linear")
    ]


equal, every = (pytest.mark.parametrize(("name", "case"), cases(x)) for x in (EQUAL, EQUAL | OTHER))
with_positions = pytest.mark.parametrize(("name", "case"), cases({k: v for k, v in EQUAL.items() if k != "vector"}))


def randn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def features(case, n=B, seed=0):
    return [randn(n, *shape, seed=seed + i) for i, (_, *shape) in enumerate(case)]


def made(name, case, projector="linear"):
    """The loss of two features as `RecipeLoss` computes it."""
    torch.manual_seed(0)
    match = Projector(**projector_arguments(name, projector, *layers(case)))
    return lambda s, t, mask=None: FEATURE_LOSSES[name](*match(s, t), mask, **match.learned)


def masked(case, fill):
    """Features of which a part is padding, and the mask `[B, *positions]`."""
    (kind, *shape), found = case[0], features(case)
    positions = shape[1:] if kind == "map" else shape[:-1]
    mask = torch.rand(B, *positions, generator=torch.Generator().manual_seed(3)) > 0.4
    mask[:, 0] = True  # no sample is empty
    hidden = ~mask.unsqueeze(1 if kind == "map" else -1)
    return [x.masked_fill(hidden, fill).requires_grad_() for x in found], mask, hidden


def test_tables_name_the_same_losses():
    assert list(FEATURE_LOSSES) == list(LOSS_TRAITS) == list(get_args(FeatureLossName))
    assert [name for name, loss in FEATURE_LOSSES.items() if loss.__name__ != name] == []


def test_every_loss_is_held_to_the_contract():
    tried = [param.values[0] for param in cases(EQUAL)]
    assert {name: tried.count(name) for name in FEATURE_LOSSES} == {
        name: {"channels": 5, "positions": 4, "tokens": 1, "samples": 5}[traits.compares]
        for name, traits in LOSS_TRAITS.items()
    }


@equal
def test_equal_features_give_zero(name, case):
    s, _ = features(case)
    match = Projector(**projector_arguments(name, "none", *layers(case)))
    for variance in match.learned.values():  # vid: once its variances have shrunk
        torch.nn.init.constant_(variance, -torch.inf)
    assert float(FEATURE_LOSSES[name](*match(s, s.clone()), **match.learned).detach()) == pytest.approx(0, abs=2e-6)


@equal
def test_a_pair_that_starts_equal_is_scaled_by_a_good_part_of_what_unrelated_features_lose(name, case):
    recipe = Recipe(LayerMapping((Pair("s.0", "t.0", 1.0),)), name, "none", feature_share=1.0)
    student, teacher = ({path: 50 * x} for path, x in zip(("s.0", "t.0"), features(case), strict=True))
    loss = RecipeLoss(recipe, *([layer] for layer in layers(case)))
    loss.calibrate([(student, teacher, None)])
    unrelated = float(loss.scales)
    loss.calibrate([({"s.0": teacher["t.0"].clone()}, teacher, None)])
    assert name == "vid" or float(loss.scales) <= unrelated / 4  # the variances of vid have a price at the start
    if name in ("nmse", "mse", "cosine", "vid", "attention_relation", "cka"):  # the others' size depends on the shape
        assert float(loss.scales) >= unrelated / 40


@every
def test_is_a_float32_scalar_that_tells_features_apart(name, case):
    loss = made(name, case)(*features(case))
    assert (loss.shape, loss.dtype) == ((), torch.float32)
    assert loss > 1e-3


@every
def test_is_finite_and_computed_in_float32_for_half_precision(name, case):
    loss = made(name, case)
    for dtype, scale in product((torch.float16, torch.bfloat16), (1e-3, 1.0, 1.6e4)):
        half = [x.clamp(-4, 4).mul(scale).to(dtype).requires_grad_() for x in features(case)]
        value = loss(*half)
        value.backward()
        assert float(value.detach()) == float(loss(*(x.detach().float() for x in half)).detach())
        assert value.isfinite()
        assert value >= 0
        assert half[0].grad.isfinite().all()


@every
def test_stays_in_float32_under_autocast(name, case):
    (s, t), loss = features(case), made(name, case)
    expected = float(loss(s, t).detach())
    with torch.autocast("cpu", torch.bfloat16):
        value = loss(s, t)
    assert value.dtype == torch.float32
    # of what is learned, the projector alone may work in half precision
    assert float(value.detach()) == pytest.approx(expected, rel=0.02 if LOSS_TRAITS[name].projected else 1e-5)


@every
def test_only_the_student_gets_a_gradient(name, case):
    s, t = (x.requires_grad_() for x in features(case))
    made(name, case)(s, t).backward()
    assert s.grad.abs().sum() > 0
    assert t.grad is None


@with_positions
def test_what_padding_holds_does_not_matter(name, case):
    loss = made(name, case, "none")
    for rubbish in (1e6, torch.nan):
        found, mask, hidden = masked(case, rubbish)
        value = loss(*found, mask)
        value.backward()
        assert float(value.detach()) == pytest.approx(float(loss(*masked(case, 0.0)[0], mask).detach()), rel=1e-5)
        assert float(value.detach()) != pytest.approx(float(loss(*features(case)).detach()), rel=1e-4)
        assert found[0].grad.isfinite().all()
        assert found[0].grad.masked_select(hidden).abs().sum() == 0


@pytest.mark.parametrize("name", FEATURE_LOSSES)
def test_how_much_padding_there_is_does_not_matter(name):
    loss, (found, mask, _) = made(name, EQUAL["tokens"], "none"), masked(EQUAL["tokens"], torch.nan)
    longer = [torch.cat([x, x.new_full((B, 7, 6), torch.nan)], 1) for x in found]
    more = torch.cat([mask, mask.new_zeros(B, 7)], 1)
    assert float(loss(*longer, more).detach()) == pytest.approx(float(loss(*found, mask).detach()), rel=1e-5)


@with_positions
def test_a_mask_of_all_is_no_mask_and_one_of_others_is_passed_over(name, case):
    loss, (found, mask, _) = made(name, case, "none"), masked(case, 0.0)
    expected = pytest.approx(float(loss(*found).detach()), rel=1e-6)
    assert float(loss(*found, torch.ones_like(mask)).detach()) == expected
    assert float(loss(*found, torch.zeros(B, 99, dtype=torch.bool)).detach()) == expected


@pytest.mark.parametrize("name", [name for name, traits in LOSS_TRAITS.items() if traits.compares == "samples"])
def test_the_mask_of_tokens_counts_beside_a_vector(name):
    case = OTHER["vector-tokens"]
    (s, t), mask = features(case), torch.arange(5) < torch.randint(1, 6, (B, 1))
    loss, rubbish = made(name, case), t.masked_fill(~mask.unsqueeze(-1), torch.nan)
    assert float(loss(s, rubbish, mask)) == float(loss(s, t, mask)) != float(loss(s, t))


@every
def test_does_not_grow_with_the_batch(name, case):
    """Nor shrink: with every sample given twice it is the same, or nearly where pairs of one sample do not count."""
    (s, t), match = features(case, 64), made(name, case)

    def loss(*both):
        return match(*both).detach()

    once, twice = float(loss(s, t)), float(loss(torch.cat([s, s]), torch.cat([t, t])))
    nearly = name in ("relational_distance", "relational_angle", "pkt")
    if name == "cka":  # to which twins are evidence: fresh samples then, of features that are alike
        t = t + (s.mean(tuple(range(1, s.ndim))) * 3).reshape(-1, *[1] * (t.ndim - 1))
        parts = [float(loss(s[i : i + 16], t[i : i + 16])) for i in range(0, 64, 16)]
        assert sum(parts) / 4 == pytest.approx(float(loss(s, t)), abs=0.15)
    else:
        assert twice == pytest.approx(once, rel=0.05 if nearly else 1e-4)


class LargestTensor(TorchDispatchMode):
    """Numbers in the largest tensor that was made."""

    numbers = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        self.numbers = max([self.numbers, *(x.numel() for x in tree_leaves(out) if isinstance(x, torch.Tensor))])
        return out


@pytest.mark.parametrize("shape", [("map", 4, 40, 40), ("tokens", 1600, 4)], ids=["pixels", "tokens"])
@pytest.mark.parametrize("name", [name for name, traits in LOSS_TRAITS.items() if traits.compares != "tokens"])
def test_no_memory_is_quadratic_in_pixels_or_tokens(name, shape):
    s, t = features((shape, shape), n=4)
    with LargestTensor() as largest:
        made(name, (shape, shape))(s.requires_grad_(), t).backward()
    assert largest.numbers <= 2 * s.numel() < 1600**2


@pytest.mark.parametrize("name", ["gram", "relational_distance", "relational_angle", "pkt", "cka", "nst"])
def test_a_batch_too_small_to_relate_gives_a_finite_number(name):
    case = EQUAL["map2d"]
    for n in (1, 2, 3):
        s, t = features(case, n)
        loss = made(name, case)(s.requires_grad_(), t)
        loss.backward()
        assert loss.isfinite()
        assert s.grad.isfinite().all()
    identical = [x[:1].expand(4, -1, -1, -1).clone().requires_grad_() for x in features(case)]
    made(name, case)(*identical).backward()
    assert identical[0].grad.isfinite().all()
