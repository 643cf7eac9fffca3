import numpy as np
import pytest
import torch

from mapsearch.losses.logits import dkd, kl
from mapsearch.losses.recipe_loss import LOGIT_LOSSES

contract = pytest.mark.parametrize("loss", LOGIT_LOSSES.values(), ids=LOGIT_LOSSES)


def randn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def softmax(logits, temperature):
    exp = np.exp(logits.double().numpy() / temperature)
    return exp / exp.sum(-1, keepdims=True)


def divergence(p, q):
    return (p * np.log(p / q)).sum(-1)


@contract
@pytest.mark.parametrize("shape", [(6, 4), (6, 2), (3, 5, 4)])
def test_equal_logits_give_zero(loss, shape):
    logits = randn(*shape)
    assert float(loss(logits, logits.clone(), 2.0)) == pytest.approx(0, abs=1e-6)
    assert float(loss(logits, logits + 3.0, 2.0)) == pytest.approx(0, abs=1e-5)  # softmax does not see a shift


@contract
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("scale", [1.0, 1e4])
def test_is_a_finite_scalar_above_zero(loss, dtype, scale):
    s, t = (randn(6, 4, seed=seed).mul(scale).to(dtype).requires_grad_() for seed in (0, 1))
    value = loss(s, t.detach(), 4.0)
    value.backward()
    assert (value.shape, value.dtype) == ((), torch.float32)
    assert value > 0
    assert value.isfinite()
    assert s.grad.isfinite().all()


@contract
def test_masked_tokens_do_not_matter(loss):
    s, t = randn(3, 5, 4), randn(3, 5, 4, seed=1)
    mask = torch.arange(5) < torch.tensor([[2], [5], [3]])
    expected = loss(s[mask], t[mask], 2.0)
    rubbish = [x.masked_fill(~mask.unsqueeze(-1), torch.nan) for x in (s, t)]
    assert float(loss(*rubbish, 2.0, mask)) == pytest.approx(float(expected), rel=1e-6)


@contract
def test_a_mask_of_tokens_is_no_mask_of_pooled_logits(loss):
    s, t = randn(3, 4), randn(3, 4, seed=1)
    mask = torch.ones(3, 5, dtype=torch.bool)
    assert float(loss(s, t, 2.0, mask)) == float(loss(s, t, 2.0))


@contract
def test_does_not_grow_with_the_batch(loss):
    s, t = randn(6, 4), randn(6, 4, seed=1)
    assert float(loss(torch.cat([s, s]), torch.cat([t, t]), 2.0)) == pytest.approx(float(loss(s, t, 2.0)), rel=1e-5)


@contract
def test_the_gradient_keeps_its_size_when_the_temperature_changes(loss):
    """At a high temperature the gradient tends to a limit that does not depend on it."""

    def norm(temperature):
        s = (0.1 * randn(8, 5)).requires_grad_()
        loss(s, 0.1 * randn(8, 5, seed=1), temperature).backward()
        return float(s.grad.norm())

    assert norm(40.0) == pytest.approx(norm(10.0), rel=0.05)


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_kl_is_hintons(temperature):
    s, t = randn(6, 5), randn(6, 5, seed=1)
    expected = temperature**2 * divergence(softmax(t, temperature), softmax(s, temperature)).mean()
    assert float(kl(s, t, temperature)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("temperature", [1.0, 4.0])
@pytest.mark.parametrize("confidence", [1.0, 20.0])
def test_dkd_is_zhaos_with_the_teachers_top_class_as_target(temperature, confidence):
    s, t = confidence * randn(6, 5), randn(6, 5, seed=1)
    p_s, p_t = softmax(s, temperature), softmax(t, temperature)
    expected = []
    for a, b, target in zip(p_t, p_s, t.argmax(-1).tolist(), strict=True):
        rest_a, rest_b = np.delete(a, target), np.delete(b, target)
        tckd = divergence(np.array([a[target], rest_a.sum()]), np.array([b[target], rest_b.sum()]))
        nckd = divergence(rest_a / rest_a.sum(), rest_b / rest_b.sum())
        expected.append(tckd + 8 * nckd)
    assert float(dkd(s, t, temperature)) == pytest.approx(temperature**2 * np.mean(expected), rel=1e-4)


@pytest.mark.parametrize("confidence", [1.0, 5.0, 30.0])
def test_kl_is_the_target_part_plus_the_teachers_doubt_times_the_rest(confidence):
    for seed in range(5):
        s, t = confidence * randn(1, 6, seed=seed), randn(1, 6, seed=seed + 100)
        doubt = 1 - float(softmax(t, 2.0).max())
        together = dkd(s, t, 2.0, target_weight=1.0, other_weight=doubt)
        assert float(kl(s, t, 2.0)) == pytest.approx(float(together), rel=1e-4)
