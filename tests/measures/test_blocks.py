import math

import pytest
import torch

from mapsearch.measures import kernels
from mapsearch.measures.blocks import BlockSums
from mapsearch.measures.estimate import NotFinite


def randn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def measure(student, teacher, batch=256, block=64, kernel=kernels.linear, seed=0):
    """All batches counted; (sums, how often a batch was asked for again)."""
    sums = BlockSums(kernel, len(student), len(teacher), estimator="debiased", block=block, seed=seed)
    n_again = 0
    for start in range(0, len(student[0]), batch):
        counted = False
        while not counted:
            counted = sums.add(
                *(
                    [sums.reduce(network, i, rows[start : start + batch]) for i, rows in enumerate(layers)]
                    for network, layers in enumerate((student, teacher))
                )
            )
            n_again += not counted
    return sums, n_again


def cka(x, y, **options):
    return float(measure([x], [y], **options)[0].estimate().values)


def hsic(a, b):
    """Unbiased HSIC of two Gram matrices in the closed form of Song et al. 2012, eq. 5."""
    n = len(a)
    a, b = a - torch.diag(a.diag()), b - torch.diag(b.diag())
    trace, sums, cross = (a @ b).trace(), a.sum() * b.sum() / ((n - 1) * (n - 2)), 2 / (n - 2) * (a @ b).sum()
    return (trace + sums - cross) / (n * (n - 3))


def gram(x):
    x = x.double() - x.double().mean(0)
    return x @ x.T


def reference(x, y, parts=(slice(None),)):
    """Debiased CKA in float64, unbiased HSIC added up over the parts by their samples."""

    def total(a, b):
        return sum(len(x[p]) * hsic(gram(a[p]), gram(b[p])) for p in parts)

    return float(total(x, y) / (total(x, x) * total(y, y)).sqrt())


@pytest.mark.parametrize(("n", "d_x", "d_y"), [(4, 3, 3), (16, 5, 40), (64, 20, 7), (50, 200, 300)])
def test_equals_the_closed_form(n, d_x, d_y):
    x = randn(n, d_x)
    y = torch.cat([x[:, :2], randn(n, d_y, seed=1)], 1)
    assert cka(x, y) == pytest.approx(reference(x, y), abs=1e-6)


@pytest.mark.parametrize(
    ("n", "batch", "sizes"),
    [
        (200, 100, [50, 50, 50, 50]),
        (193, 193, [49, 48, 48, 48]),
        (131, 64, [64, 64, 3]),  # the last three are passed over
        (104, 64, [64, 40]),
        (65, 64, [64, 1]),
    ],
)
def test_batches_are_cut_into_near_equal_blocks(n, batch, sizes):
    x, y = randn(n, 6), randn(n, 9, seed=1) + 0.5
    ends = torch.tensor(sizes).cumsum(0).tolist()
    parts = [slice(end - size, end) for end, size in zip(ends, sizes, strict=True) if size >= 4]
    sums, _ = measure([x], [y], batch=batch)
    assert float(sums.estimate().values) == pytest.approx(reference(x, y, parts), abs=1e-6)
    assert sums.n_rows == sum(size for size in sizes if size >= 4)


def test_the_value_does_not_depend_on_the_batch():
    x, y = randn(512, 12), randn(512, 8, seed=1)
    y[:, :4] += x[:, :4]
    assert cka(x, y, batch=64) == pytest.approx(cka(x, y, batch=256), abs=1e-7)


def test_memory_does_not_grow_with_the_sizes_of_batches():
    sums = BlockSums(kernels.linear, 1, 1, estimator="debiased", block=64)
    for n in range(65, 129):
        rows = torch.randn(n, 8, generator=torch.Generator().manual_seed(n))
        assert sums.add([sums.reduce(0, 0, rows)], [sums.reduce(1, 0, rows)])
        assert len(sums._stacks) <= 2


def test_layers_pair_as_student_by_teacher():
    student, teacher = [randn(20, 5), randn(20, 8, seed=1)], [randn(20, 4, seed=2), randn(20, 5), randn(20, 9, seed=3)]
    values = measure(student, teacher)[0].estimate().values
    assert values.dtype == torch.float64
    assert values.tolist() == [pytest.approx([reference(s, t) for t in teacher], abs=1e-6) for s in student]


HARD = {
    "plain": (lambda x: x.float(), False),
    "offset 30": (lambda x: (x + 30).float(), True),
    "one channel +3000": (lambda x: torch.cat([x[:, :1] + 3000, x[:, 1:]], 1).float(), True),
    "scale 1e-3": (lambda x: (x * 1e-3).float(), False),
    "scale 1e4": (lambda x: (x * 1e4).float(), False),
    "scale 1e10": (lambda x: (x * 1e10).float(), False),
    "scale 1e-25": (lambda x: (x * 1e-25).float(), True),
    "scale 1e25": (lambda x: (x * 1e25).float(), True),
    "float16": (lambda x: x.half(), False),
    "float16 at scale 30": (lambda x: (x * 30).half(), False),
    "bfloat16": (lambda x: x.bfloat16(), False),
    "bfloat16, offset 300": (lambda x: (x * 20 + 300).bfloat16(), True),
}


@pytest.mark.parametrize("name", HARD)
def test_hard_inputs_lose_no_digits(name):
    change, is_looked_at_again = HARD[name]
    x, y = randn(520, 24), randn(520, 12, seed=1)
    y[:, :4] += x[:, :4]
    x, y = change(x), change(y)
    unit = {"scale 1e-25": 1e25, "scale 1e25": 1e-25}.get(name, 1.0)  # the reference itself must not overflow
    parts = [slice(start, min(start + 64, 520)) for start in range(0, 520, 64)]
    sums, n_again = measure([x], [y])
    assert float(sums.estimate().values) == pytest.approx(
        reference(x.double() * unit, y.double() * unit, parts), abs=1e-6
    )
    assert bool(n_again) == is_looked_at_again


def test_an_offset_that_comes_late_leaves_the_blocks_before_it_comparable():
    x, y = randn(256, 16), randn(256, 16, seed=1)
    y[:, :8] += x[:, :8]
    late = x.clone()
    late[128:] += 1000
    sums, n_again = measure([late.float()], [y.float()], batch=64)
    assert n_again == 1
    assert float(sums.estimate().values) == pytest.approx(cka(x, y, batch=64), abs=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("value", [0.0, 0.1, 1 / 3, 1e8])
def test_a_constant_layer_gives_zero(value, dtype):
    constant = torch.full((300, 7), value, dtype=dtype)
    found = measure([constant, randn(300, 7)], [randn(300, 4, seed=1), constant])[0].estimate()
    assert found.values[0].tolist() == [0, 0]
    assert found.values[1, 0] != 0
    assert found.standard_errors[0].tolist() == [0, 0]
    assert math.isfinite(found.noise_floor)


def test_a_layer_may_wake_up_late():
    late = torch.cat([torch.zeros(64, 5, dtype=torch.float64), randn(192, 5)])
    assert cka(late, late, batch=64) == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("bad", [math.inf, math.nan])
def test_features_that_are_not_finite_are_refused_by_name(bad):
    x = randn(64, 5)
    x[7, 2] = bad
    with pytest.raises(NotFinite, match="finite, but teacher layer 1 produced inf or NaN"):
        measure([randn(64, 3)], [randn(64, 4), x])


def test_independent_features_are_about_zero_where_the_biased_estimate_is_high():
    x, y = randn(256, 4096), randn(256, 4096, seed=1)
    assert abs(cka(x, y)) <= 0.03
    assert abs(cka(x, y, block=256)) <= 0.03
    assert cka(x, y, block=256, kernel=kernels.linear_biased) == pytest.approx(4096 / (4096 + 256), abs=0.02)


def test_the_standard_error_is_about_the_spread_over_fresh_samples():
    values, errors = [], []
    for seed in range(12):
        x, y = randn(1024, 10, seed=seed), randn(1024, 10, seed=100 + seed)
        y[:, :3] += x[:, :3]
        found = measure([x], [y])[0].estimate()
        values.append(float(found.values))
        errors.append(float(found.standard_errors))
    spread = torch.tensor(values).std().item()
    assert 0.5 < sum(errors) / len(errors) / spread < 2


def test_too_few_blocks_tell_nothing_of_how_sure_a_value_is():
    x = randn(192, 4)
    assert measure([x], [x])[0].estimate().standard_errors is None
    assert measure([x], [x], block=32)[0].estimate().standard_errors is not None


def test_the_noise_floor_is_small_positive_and_repeats():
    def floor(n, seed=0):
        x = randn(n, 10)
        return measure([x], [x], seed=seed)[0].estimate().noise_floor

    assert 0 < floor(2048) < floor(128) < 0.3
    assert floor(256) == floor(256)
    assert floor(256) != floor(256, seed=1)


def test_unrelated_features_keep_to_the_floors():
    n_noise, n_spread = 0.0, 0
    for seed in range(20):
        generator = torch.Generator().manual_seed(seed)
        s, t = (list(torch.randn(n, 512, 16, generator=generator)) for n in (3, 8))
        found = measure(s, t, seed=seed)[0].estimate()
        n_noise += float((found.values.abs() <= found.noise_floor).double().mean())
        n_spread += bool((found.values.amax(1) - found.values.amin(1) <= found.spread_floor).all())
    assert 0.88 <= n_noise / 20 <= 1.0  # 0.95 expected
    assert n_spread >= 17  # 19 expected


def test_nothing_counted_is_nothing_claimed():
    sums, _ = measure([randn(3, 4)], [randn(3, 4)])
    assert sums.n_rows == 0
    assert sums.estimate().values.tolist() == [[0.0]]


def test_a_batch_without_samples_counts_nothing():
    x, y = randn(128, 6), randn(128, 9, seed=1)
    sums, _ = measure([x], [y])
    before = sums.estimate().values
    assert sums.add([sums.reduce(0, 0, x[:0])], [sums.reduce(1, 0, y[:0])])
    assert sums.n_rows == 128
    assert torch.equal(sums.estimate().values, before)


def test_layers_of_unlike_numbers_of_samples_are_refused():
    sums = BlockSums(kernels.linear, 1, 1, estimator="debiased")
    with pytest.raises(RuntimeError, match=r"\[2, 64, 64\]"):
        sums.add([sums.reduce(0, 0, randn(128, 6))], [sums.reduce(1, 0, randn(64, 9))])
