import numpy as np
import pytest
import torch

from mapsearch.losses.features import attention, cosine, nmse
from mapsearch.losses.projectors import Projector
from mapsearch.losses.recipe_loss import FEATURE_LOSSES

SHAPES = {"tokens": (6, 5, 7), "map1d": (6, 7, 5), "map2d": (6, 7, 4, 3), "map3d": (6, 7, 2, 3, 2), "vector": (6, 7)}
CASES = [(name, shape) for name in FEATURE_LOSSES for shape in SHAPES if (name, shape) != ("attention", "vector")]
MASKED = [(name, shape) for name, shape in CASES if shape != "vector"]
contract = pytest.mark.parametrize(("name", "shape"), CASES)


def randn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def pair(shape):
    """A student's and a teacher's feature, channels second."""
    s, t = randn(*SHAPES[shape]), randn(*SHAPES[shape], seed=1)
    return (s.movedim(-1, 1), t.movedim(-1, 1)) if shape == "tokens" else (s, t)


@contract
def test_equal_features_give_zero(name, shape):
    s, _ = pair(shape)
    assert float(FEATURE_LOSSES[name](s, s.clone())) == pytest.approx(0, abs=1e-6)


@contract
def test_is_a_scalar_above_zero_in_float32(name, shape):
    loss = FEATURE_LOSSES[name](*pair(shape))
    assert (loss.shape, loss.dtype) == ((), torch.float32)
    assert loss > 0.01


@contract
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("scale", [1.0, 1e4])
def test_is_finite_for_half_precision_through_a_projector(name, shape, dtype, scale):
    projector = Projector("map" if shape.startswith("map") else shape, None if name == "attention" else 7, 7)
    features = [randn(*SHAPES[shape], seed=seed).clamp(-3, 3).mul(scale).to(dtype).requires_grad_() for seed in (0, 1)]
    loss = FEATURE_LOSSES[name](*projector(*features))
    loss.backward()
    assert loss.isfinite()
    assert features[0].grad.isfinite().all()


@contract
def test_only_the_student_gets_a_gradient(name, shape):
    s, t = (randn(*SHAPES[shape], seed=seed).requires_grad_() for seed in (0, 1))
    projector = Projector("map" if shape.startswith("map") else shape, None, 7)
    FEATURE_LOSSES[name](*projector(s, t)).backward()
    assert s.grad.abs().sum() > 0
    assert t.grad is None


@pytest.mark.parametrize(("name", "shape"), MASKED)
@pytest.mark.parametrize("rubbish", [1e6, torch.nan])
def test_masked_positions_do_not_matter(name, shape, rubbish):
    s, t = pair(shape)
    mask = torch.rand(s.shape[0], *s.shape[2:], generator=torch.Generator().manual_seed(3)) > 0.4
    expected = FEATURE_LOSSES[name](s, t, mask)
    filled = [x.masked_fill(~mask.unsqueeze(1), rubbish).requires_grad_() for x in (s, t)]
    loss = FEATURE_LOSSES[name](*filled, mask)
    loss.backward()
    assert float(loss.detach()) == pytest.approx(float(expected), rel=1e-6)
    assert filled[0].grad.movedim(1, -1)[~mask].abs().sum() == 0
    assert float(expected) != pytest.approx(float(FEATURE_LOSSES[name](s, t)), rel=1e-4)


@contract
def test_a_mask_of_all_is_no_mask(name, shape):
    s, t = pair(shape)
    everything = torch.ones(s.shape[0], *s.shape[2:], dtype=torch.bool)
    assert float(FEATURE_LOSSES[name](s, t, everything)) == pytest.approx(float(FEATURE_LOSSES[name](s, t)), rel=1e-6)


@contract
def test_does_not_grow_with_the_batch(name, shape):
    s, t = pair(shape)
    twice = FEATURE_LOSSES[name](torch.cat([s, s]), torch.cat([t, t]))
    assert float(twice) == pytest.approx(float(FEATURE_LOSSES[name](s, t)), rel=1e-5)


def test_nmse_is_the_unexplained_fraction_of_the_teachers_variance():
    s, t = pair("map2d")
    a, b = (x.double().numpy() for x in (s, t))
    variance = ((b - b.mean((0, 2, 3), keepdims=True)) ** 2).mean()
    assert float(nmse(s, t)) == pytest.approx(((a - b) ** 2).mean() / variance, rel=1e-6)
    mean = t.mean((0, 2, 3), keepdim=True).expand_as(t)
    assert float(nmse(mean, t)) == pytest.approx(1.0, rel=1e-5)  # knowing the mean alone explains nothing
    assert float(nmse(1e4 * s, 1e4 * t)) == pytest.approx(float(nmse(s, t)), rel=1e-5)


def test_cosine_is_one_minus_the_mean_cosine_and_blind_to_norms():
    s, t = pair("tokens")
    a, b = (x.double().numpy() for x in (s, t))
    expected = 1 - ((a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)).mean()
    assert float(cosine(s, t)) == pytest.approx(expected, rel=1e-5)
    assert float(cosine(5 * s, t)) == pytest.approx(expected, rel=1e-5)
    assert float(cosine(-t, t)) == pytest.approx(2.0, rel=1e-5)


def test_attention_compares_where_the_energy_lies():
    s, t = randn(4, 3, 2, 2), randn(4, 9, 2, 2, seed=1)  # widths may differ
    maps = []
    for x in (s, t):
        energy = (x.double().numpy() ** 2).sum(1).reshape(4, -1)
        maps.append(energy / np.linalg.norm(energy, axis=1, keepdims=True))
    assert float(attention(s, t)) == pytest.approx(((maps[0] - maps[1]) ** 2).sum(1).mean(), rel=1e-5)
