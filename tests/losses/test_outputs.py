import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from mapsearch.losses.outputs import binary_kl, cosine_distance, dkd, huber, kl, logit_mse, relational, standardised_kl
from mapsearch.losses.recipe_loss import OUTPUT_LOSSES

contract = pytest.mark.parametrize("loss", OUTPUT_LOSSES.values(), ids=OUTPUT_LOSSES)
PER_POSITION = {name: loss for name, loss in OUTPUT_LOSSES.items() if name != "relational"}
contract_per_position = pytest.mark.parametrize("loss", PER_POSITION.values(), ids=PER_POSITION)
SOFTMAX = {"kl": kl, "dkd": dkd, "standardised_kl": standardised_kl}


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


@contract
def test_a_softmax_does_not_see_a_shift_and_all_others_do(loss):
    """That all scores of a sample grow is nothing to classes, and another answer to each label."""
    logits = randn(6, 4)
    shifted = float(loss(logits, logits + 3.0, 2.0))
    assert shifted == pytest.approx(0.0, abs=1e-5) if loss in SOFTMAX.values() else shifted > 0.1
    assert loss is not logit_mse or shifted == pytest.approx(9.0)


def test_a_label_has_the_divergence_of_its_own_yes_and_no():
    s, t = randn(6, 4), randn(6, 4, seed=1)
    yes = [1 / (1 + np.exp(-x.double().numpy() / 2)) for x in (s, t)]
    p, q = (np.stack([x, 1 - x], -1) for x in (yes[1], yes[0]))
    assert float(binary_kl(s, t, 2.0)) == pytest.approx(4 * divergence(p, q).mean(), rel=1e-5)
    assert float(binary_kl(-t, t, 2.0)) > 0.1, "all answers turned round"


def test_huber_is_half_the_square_below_one_and_linear_above():
    s, t = torch.tensor([[0.5, 3.0]]), torch.zeros(1, 2)
    assert float(huber(s, t, 1.0)) == pytest.approx((0.125 + 2.5) / 2)


def test_embeddings_are_held_by_their_directions():
    s, t = torch.tensor([[2.0, 0.0], [0.0, 1.0], [-1.0, 0.0]]), torch.tensor([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0]])
    assert float(cosine_distance(s, t, 1.0)) == pytest.approx((0 + 1 + 2) / 3)


def test_relations_are_cosines_between_samples_and_know_no_width():
    t = randn(5, 7)
    turned = torch.linalg.qr(randn(7, 7, seed=1)).Q
    assert float(relational(3 * t @ turned, t, 1.0)) == pytest.approx(0, abs=1e-6), "turned and stretched"
    s = randn(5, 3, seed=2)
    a, b = (torch.nn.functional.normalize(x, dim=-1) for x in (s, t))
    expected = [(a[i] @ a[j] - b[i] @ b[j]).square() for i in range(5) for j in range(5) if i != j]
    assert float(relational(s, t, 1.0)) == pytest.approx(float(torch.stack(expected).mean()), rel=1e-5)


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


@contract_per_position
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


def grads(loss, s, t, mask=None):
    s = s.clone().requires_grad_()
    value = loss(s, t, 2.0, mask)
    (gradient,) = torch.autograd.grad(value, s)
    return float(value.detach()), gradient


@contract
@pytest.mark.parametrize("masked", [False, True])
def test_in_parts_it_is_the_same(loss, masked, monkeypatch):
    s, t = randn(4, 6, 10), randn(4, 6, 10, seed=1)
    mask = torch.rand(4, 6, generator=torch.Generator().manual_seed(2)) > 0.3 if masked else None
    value, gradient = grads(loss, s, t, mask)
    monkeypatch.setattr("mapsearch.losses.outputs.MAX_FLOAT32_LOGITS", 35)  # three rows at a time
    in_parts, gradient_in_parts = grads(loss, s, t, mask)
    assert in_parts == pytest.approx(value, rel=1e-6)
    assert torch.allclose(gradient, gradient_in_parts, atol=1e-7)


class Float32(TorchDispatchMode):
    """Numbers in the largest float32 tensor that was made."""

    numbers = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        made = [x.numel() for x in tree_leaves(out) if isinstance(x, torch.Tensor) and x.dtype == torch.float32]
        self.numbers = max([self.numbers, *made])
        return out


@contract_per_position
def test_large_vocabularies_are_never_held_in_float32_as_a_whole(loss, monkeypatch):
    monkeypatch.setattr("mapsearch.losses.outputs.MAX_FLOAT32_LOGITS", 1000)
    s, t = (randn(64, 100, seed=seed).bfloat16() for seed in (0, 1))
    with Float32() as largest:
        loss(s.requires_grad_(), t, 2.0).backward()
    assert s.grad.abs().sum() > 0
    assert largest.numbers == 1000


@contract
def test_terms_of_which_the_graph_is_kept_can_be_gone_through_twice(loss, monkeypatch):
    """As the detector of dead terms does."""
    monkeypatch.setattr("mapsearch.losses.outputs.MAX_FLOAT32_LOGITS", 20)
    s, t = randn(6, 10).requires_grad_(), randn(6, 10, seed=1)
    value = loss(s, t, 2.0)
    first, second = (torch.autograd.grad(value, s, retain_graph=True)[0] for _ in range(2))
    assert torch.equal(first, second)


@contract_per_position
def test_padded_vocabularies_are_trimmed_to_the_smaller(loss):
    s, t = randn(3, 5, 256), randn(3, 5, 258, seed=1)
    expected = pytest.approx(float(loss(s, t[..., :256], 2.0)), rel=1e-6)
    t[..., 256:] = 1e4  # what padding holds is anyone's guess
    assert float(loss(s, t, 2.0)) == expected
    assert float(loss(s[0, :, :], t[0], 2.0)) == pytest.approx(float(loss(s[0], t[0, :, :256], 2.0)), rel=1e-6)
    with pytest.raises(ValueError, match=r"10 and 11 classes.*vocabulary"):
        loss(randn(3, 10), randn(3, 11), 2.0)


@contract
def test_no_real_position_gives_zero(loss):
    s = randn(2, 3, 4).requires_grad_()
    value = loss(s, randn(2, 3, 4, seed=1), 2.0, torch.zeros(2, 3, dtype=torch.bool))
    value.backward()
    assert float(value.detach()) == 0
    assert s.grad.abs().sum() == 0


@contract
def test_the_teacher_gets_no_gradient(loss):
    s, t = randn(6, 4).requires_grad_(), randn(6, 4, seed=1).requires_grad_()
    loss(s, t, 2.0).backward()
    assert t.grad is None


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_standardised_kl_is_suns(temperature):
    s, t = 5 * randn(6, 5) + 3, randn(6, 5, seed=1)
    z = [(x - x.mean(-1, keepdim=True)) / x.std(-1, correction=0, keepdim=True) for x in (s.double(), t.double())]
    expected = temperature**2 * divergence(softmax(z[1], temperature), softmax(z[0], temperature)).mean()
    assert float(standardised_kl(s, t, temperature)) == pytest.approx(expected, rel=1e-5)
    assert float(standardised_kl(7 * t - 2, t, temperature)) == pytest.approx(0, abs=1e-5)  # the same gaps


def test_mse_is_twice_the_limit_of_kl():
    s, t = randn(6, 5), randn(6, 5, seed=1)
    assert float(logit_mse(s, t, 1.0)) == pytest.approx(float((s - t).square().mean()), rel=1e-6)
    s, t = (x - x.mean(-1, keepdim=True) for x in (s, t))
    assert 2 * float(kl(s, t, 100.0)) == pytest.approx(float(logit_mse(s, t, 100.0)), rel=0.02)


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
