import math

import numpy as np
import pytest
import torch

from mapsearch.losses.distributions import attention_relation, nst


def randn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("shapes", [((3, 2, 4, 4), (3, 5, 4, 4)), ((3, 20, 3), (3, 7, 3))], ids=["C x C", "P x P"])
def test_nst_is_huangs_squared_discrepancy_in_both_forms(shapes):
    s, t = randn(*shapes[0]), randn(*shapes[1], seed=1)
    per_sample = []
    for x, y in zip(s.double().flatten(2).numpy(), t.double().flatten(2).numpy(), strict=True):
        x, y = ([row / np.linalg.norm(row) for row in rows] for rows in (x, y))

        def kernel(one, other):
            return np.mean([(p @ q) ** 2 for p in one for q in other])

        per_sample.append(kernel(x, x) + kernel(y, y) - 2 * kernel(x, y))
    assert float(nst(s, t)) == pytest.approx(np.mean(per_sample), rel=1e-4)


def test_nst_sees_which_maps_occur_and_not_where():
    t = randn(2, 6, 4, 4)
    assert float(nst(t[:, [3, 1, 5, 0, 2, 4]], t)) == pytest.approx(0, abs=1e-6)
    one, other = torch.tensor([[[1.0, 0.0, 0.0]]]), torch.tensor([[[0.0, 2.0, 0.0]]])
    assert float(nst(one, other)) == pytest.approx(2.0)  # 1 + 1 - 0


def relation(x, heads, h, i, real):
    """Attention of token `i` to the real ones, from hidden states `[L, C]` after a layer norm."""
    x = (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-5)
    d = x.shape[1] // heads
    part = x[:, h * d : (h + 1) * d]
    e = np.exp([part[i] @ part[j] / math.sqrt(d) for j in real])
    return e / e.sum()


def test_attention_relation_is_minilms_kl_between_self_relations():
    s, t = randn(2, 4, 5), randn(2, 6, 5, seed=1)  # 4 and 6 channels: two heads
    mask = torch.tensor([[True, True, True, True, True], [True, False, True, True, False]])
    total, count = 0.0, 0
    for x, y, m in zip(s.mT.double().numpy(), t.mT.double().numpy(), mask.tolist(), strict=True):
        real = [i for i in range(5) if m[i]]
        for h in range(2):
            for i in real:
                p, q = relation(y, 2, h, i, real), relation(x, 2, h, i, real)
                total, count = total + (p * np.log(p / q)).sum(), count + 1
    assert float(attention_relation(s, t, mask)) == pytest.approx(total / count, rel=1e-4)


def test_attention_relation_cuts_both_into_as_many_heads_as_divide_both_widths():
    s, t = randn(2, 24, 5), randn(2, 36, 5, seed=1)
    assert float(attention_relation(s, t)) == float(attention_relation(s, t, heads=12))
    assert float(attention_relation(s, t, heads=8)) == float(attention_relation(s, t, heads=4))
    assert float(attention_relation(s, t, heads=1)) != pytest.approx(float(attention_relation(s, t)), rel=1e-2)


def test_attention_relation_of_a_sample_without_any_token_is_passed_over():
    s, t = randn(2, 4, 5).requires_grad_(), randn(2, 4, 5, seed=1)
    mask = torch.tensor([[True] * 5, [False] * 5])
    loss = attention_relation(s, t, mask)
    loss.backward()
    assert float(loss.detach()) == pytest.approx(float(attention_relation(s[:1], t[:1]).detach()), rel=1e-6)
    assert s.grad.isfinite().all()
