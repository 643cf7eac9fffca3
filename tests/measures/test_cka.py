import math

import pytest
import torch

from mapsearch.measures.cka import CkaSums


def randn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def cka(x, y, batch=None):
    sums = CkaSums(1, 1)
    for start in range(0, len(x), batch or len(x)):
        rows = slice(start, start + (batch or len(x)))
        sums.add([x[rows]], [y[rows]])
    return float(sums.values()[0, 0])


def hsic(a, b):
    """Unbiased HSIC of two Gram matrices in the closed form of Song et al. 2012, eq. 5."""
    n = len(a)
    a, b = a - torch.diag(a.diag()), b - torch.diag(b.diag())
    trace, sums, cross = (a @ b).trace(), a.sum() * b.sum() / ((n - 1) * (n - 2)), 2 / (n - 2) * (a @ b).sum()
    return (trace + sums - cross) / (n * (n - 3))


def reference(x, y):
    a, b = x.double() @ x.double().T, y.double() @ y.double().T
    return float(hsic(a, b) / (hsic(a, a) * hsic(b, b)).sqrt())


def biased(x, y):
    x, y = x - x.mean(0), y - y.mean(0)
    return float((x.T @ y).square().sum() / ((x.T @ x).norm() * (y.T @ y).norm()))


@pytest.mark.parametrize(("n", "d_x", "d_y"), [(4, 3, 3), (16, 5, 40), (64, 20, 7), (50, 200, 300)])
def test_equals_the_closed_form(n, d_x, d_y):
    x = randn(n, d_x)
    y = torch.cat([x[:, :2], randn(n, d_y, seed=1)], 1)
    assert cka(x, y) == pytest.approx(reference(x, y), abs=1e-10)


def test_batches_add_up_unbiased_hsic_weighted_by_samples():
    x, y = randn(22, 6), randn(22, 9, seed=1) + 0.5
    parts = [slice(0, 16), slice(16, 22)]

    def mean(a, b):
        return sum((p.stop - p.start) * hsic(a[p] @ a[p].T, b[p] @ b[p].T) for p in parts)

    expected = float(mean(x, y) / (mean(x, x) * mean(y, y)).sqrt())
    assert cka(x, y, batch=16) == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize("batch", [None, 16])
def test_equal_features_give_one(batch):
    x = randn(64, 12)
    assert cka(x, x, batch) == pytest.approx(1.0, abs=1e-6)


def test_blind_to_rotation_scale_and_offset():
    x, y = randn(40, 12), randn(40, 12, seed=1) + randn(40, 12)
    rotation = torch.linalg.qr(randn(12, 12, seed=2)).Q
    assert cka(x @ rotation * 1e10 + 30, y) == pytest.approx(cka(x, y), abs=1e-6)
    assert cka(x @ rotation * 1e-10, x) == pytest.approx(1.0, abs=1e-6)


def test_independent_features_are_about_zero_where_the_biased_estimate_is_high():
    x, y = randn(48, 80), randn(48, 80, seed=1)
    assert biased(x, y) > 0.55
    assert abs(cka(x, y)) < 0.05


@pytest.mark.parametrize("offset", [0.0, 30.0])
@pytest.mark.parametrize(("dtype", "error"), [(torch.float32, 1e-5), (torch.float16, 0.02), (torch.bfloat16, 0.1)])
def test_low_precision_inputs_lose_only_their_own_digits(dtype, error, offset):
    x, y = randn(64, 16), randn(64, 16, seed=1) + randn(64, 16)
    rounded = (x + offset).to(dtype), (y + offset).to(dtype)
    assert cka(*rounded) == pytest.approx(reference(*(r.double() - offset for r in rounded)), abs=1e-6)
    assert cka(*rounded) == pytest.approx(reference(x, y), abs=error)


@pytest.mark.parametrize("rest", [1, 2, 3])
def test_a_last_batch_too_small_for_an_estimate_is_passed_over(rest):
    x, y = randn(32 + rest, 6), randn(32 + rest, 6, seed=1)
    sums = CkaSums(1, 1)
    for start in (0, 32):
        sums.add([x[start : start + 32]], [y[start : start + 32]])
    assert sums.n_samples == 32
    assert float(sums.values()) == pytest.approx(cka(x[:32], y[:32]), abs=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("value", [0.0, 0.1, 1 / 3, 1e8])
def test_a_constant_layer_gives_zero(value, dtype):
    constant = torch.full((15, 7), value, dtype=dtype)
    sums = CkaSums(2, 1)
    sums.add([constant, randn(15, 7)], [randn(15, 4, seed=1)])
    assert sums.values()[0, 0] == 0
    assert sums.values()[1, 0] != 0
    assert cka(constant, constant) == 0
    assert math.isfinite(sums.noise_floor())


def test_layers_pair_as_student_by_teacher():
    student, teacher = [randn(20, 5), randn(20, 8, seed=1)], [randn(20, 4, seed=2), randn(20, 5), randn(20, 9, seed=3)]
    sums = CkaSums(2, 3)
    sums.add(student, teacher)
    expected = [[reference(s, t) for t in teacher] for s in student]
    assert sums.values().dtype == torch.float64
    assert sums.values().tolist() == [pytest.approx(row, abs=1e-10) for row in expected]


def test_the_noise_floor_is_small_positive_and_repeats():
    def floor(n, seed=0):
        x = randn(n, 10)
        sums = CkaSums(1, 1, n_shuffles=32, seed=seed)
        for start in range(0, n, 64):
            sums.add([x[start : start + 64]], [x[start : start + 64]])
        return sums.noise_floor()

    assert 0 < floor(1024) < floor(64) < 0.3
    assert floor(256) == floor(256)
    assert floor(256) != floor(256, seed=1)


def test_independent_features_spread_within_the_floor():
    n_within = 0
    for seed in range(10):
        generator, sums = torch.Generator().manual_seed(seed), CkaSums(3, 8, seed=seed)
        for _ in range(4):
            s, t = (list(torch.randn(n, 64, 16, generator=generator)) for n in (3, 8))
            sums.add(s, t)
        values = sums.values()
        n_within += bool((values.amax(1) - values.amin(1) <= sums.spread_floor()).all())
    assert n_within >= 8  # 9.5 expected
