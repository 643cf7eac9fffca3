"""Sums of moments against the same measures worked out from all rows at once, in float64."""

from itertools import pairwise

import pytest
import torch

from mapsearch.core.errors import SpecError, TaskError
from mapsearch.measures import covariances
from mapsearch.measures.covariances import CovarianceSums
from mapsearch.measures.kernels import u_centred

MEASURES = [("cka", "debiased"), ("cka", "biased"), ("procrustes", "debiased"), ("svcca", "debiased")]
EVERY = pytest.mark.parametrize(("measure", "estimator"), MEASURES)


def randn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def layers(n, *specs, seed=0):
    """Of each (width, noise) a layer that sees the same six factors."""
    factors = randn(n, 6, seed=99)
    return [
        factors @ randn(6, width, seed=i + seed) + noise * randn(n, width, seed=50 + i + seed)
        for i, (width, noise) in enumerate(specs)
    ]


def estimate(student, teacher, measure="cka", estimator="debiased", batches=(0, None), seed=0):
    """`batches`: where they start and end."""
    sums = CovarianceSums(measure, len(student), len(teacher), estimator=estimator, seed=seed)
    for start, end in pairwise(batches):
        s, t = (
            [sums.reduce(network, i, rows[start:end]) for i, rows in enumerate(features)]
            for network, features in enumerate((student, teacher))
        )
        assert sums.add(s, t)
    assert sums.n_rows == len(student[0][: batches[-1]])
    return sums.estimate()


def value(x, y, measure, estimator):
    x, y = (rows.double() - rows.double().mean(0) for rows in (x, y))
    if measure == "procrustes":
        return torch.linalg.svdvals(x.T @ y).sum() / (x.norm() * y.norm())
    if measure == "svcca":
        return torch.linalg.svdvals(directions(x).T @ directions(y)).mean()
    a, b = (u_centred(r @ r.T) if estimator == "debiased" else r @ r.T for r in (x, y))
    return (a * b).sum() / (a.norm() * b.norm())


def directions(x):
    u, s, _ = torch.linalg.svd(x, full_matrices=False)
    share = s.square().cumsum(0) / s.square().sum()
    return u[:, : int((share < 0.99).sum()) + 1]


def reference(student, teacher, measure="cka", estimator="debiased"):
    return torch.stack([torch.stack([value(x, y, measure, estimator) for y in teacher]) for x in student])


@EVERY
@pytest.mark.parametrize("n", [4, 20, 150])
def test_equals_the_measure_of_all_rows(measure, estimator, n):
    student, teacher = layers(n, (9, 1.0), (40, 3.0)), layers(n, (30, 2.0), (5, 0.3), (70, 9.0), seed=7)
    got = estimate(student, teacher, measure, estimator).values
    assert got.dtype == torch.float64
    torch.testing.assert_close(got, reference(student, teacher, measure, estimator), atol=1e-9, rtol=0)


@EVERY
@pytest.mark.parametrize("batches", [(0, 100, None), (0, 1, 2, 4, 7, 47, None), (*range(0, 150, 40), 149, None)])
def test_is_the_same_however_rows_are_batched(measure, estimator, batches):
    student, teacher = layers(150, (9, 1.0), (20, 3.0)), layers(150, (12, 2.0), seed=7)
    whole, cut = (estimate(student, teacher, measure, estimator, parts).values for parts in ((0, None), batches))
    torch.testing.assert_close(cut, whole, atol=1e-10, rtol=0)


SPOILT = {
    "offset 30": lambda x: x + 30,
    "one channel +3000": lambda x: x + 3000 * (torch.arange(x.shape[1]) == 2),
    "scale 1e-3": lambda x: x * 1e-3,
    "scale 1e4": lambda x: x * 1e4,
    "scale 1e10": lambda x: x * 1e10,
    "scale 1e30": lambda x: x * 1e30,
    "float16": lambda x: x.half(),
    "float16 at scale 30": lambda x: (30 * x).half(),
    "bfloat16": lambda x: x.bfloat16(),
    "an outlier first": lambda x: torch.cat([x[:1] + 3000, x[1:]]),
}


@EVERY
@pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT)
def test_hard_features_lose_no_digits(measure, estimator, spoil):
    student, teacher = layers(203, (9, 1.0), (40, 3.0)), layers(203, (30, 2.0), (33, 0.3), seed=7)
    student, teacher = ([spoil(rows.float()) for rows in features] for features in (student, teacher))
    got = estimate(student, teacher, measure, estimator, (0, 64, 128, None))
    torch.testing.assert_close(got.values, reference(student, teacher, measure, estimator), atol=1e-6, rtol=0)
    assert got.standard_errors.isfinite().all()
    assert 0 < got.noise_floor < 1


@EVERY
def test_a_constant_layer_is_zero_and_a_second_copy_changes_nothing(measure, estimator):
    student, (first, *_) = layers(60, (9, 1.0), (20, 3.0)), layers(60, (12, 2.0), seed=7)
    constant = torch.full((60, 5), 0.1)
    got = estimate([*student, constant], [first, constant, first], measure, estimator, (0, 25, None))
    assert (got.values[2] == 0).all()
    assert (got.values[:, 1] == 0).all()
    assert (got.values[:2, 0] > 0.01).all()
    torch.testing.assert_close(got.values[:, 0], got.values[:, 2], atol=1e-12, rtol=0)
    assert all(not figure.isnan().any() for figure in (got.values, got.standard_errors))


def test_one_hot_rows_are_alike_to_nothing():
    # all equally far from each other: the unbiased estimate is 0 / 0, of which rounding must not make a number
    got = estimate([torch.eye(30)], [torch.eye(30)[torch.randperm(30)]])
    assert got.values.item() == 0


@EVERY
@pytest.mark.parametrize("n", [0, 1, 2, 3])
def test_too_few_rows_say_so(measure, estimator, n):
    student, teacher = layers(n, (9, 1.0), (20, 3.0)), layers(n, (12, 2.0), seed=7)
    got = estimate(student, teacher, measure, estimator, (0, n) if n else (0,))
    assert got.values.shape == (2, 1)
    assert got.values.isfinite().all()
    assert got.standard_errors is None
    assert got.noise_floor == got.spread_floor == 1


@pytest.mark.parametrize(("n", "d"), [(64, 512), pytest.param(256, 4096, marks=pytest.mark.slow)])
def test_unrelated_features_are_about_zero_where_the_biased_value_is_high(n, d):
    x, y = randn(n, d), randn(n, d, seed=1)
    assert abs(float(estimate([x], [y]).values)) < 0.03
    assert float(reference([x], [y], estimator="biased")) == pytest.approx(d / (d + n), abs=0.02)


def test_the_variance_of_shuffled_debiased_cka_depends_on_nothing_but_the_number_of_rows():
    # the law that lets 64 rows tell the noise floor of all
    n = 12
    for x, y in ((randn(n, 3), randn(n, 40, seed=1)), (randn(n, 5).exp(), randn(n, 1, seed=1) ** 3)):
        a, b = (u_centred(rows @ rows.T) for rows in (x, y))
        generator = torch.Generator().manual_seed(0)
        orders = [torch.randperm(n, generator=generator) for _ in range(20_000)]
        shuffled = torch.stack([(a * b[o][:, o]).sum() for o in orders]) / (a.norm() * b.norm())
        assert float(shuffled.mean()) == pytest.approx(0, abs=0.005)
        assert float(shuffled.square().mean()) == pytest.approx(2 / (n * (n - 3)), rel=0.06)


@EVERY
def test_the_floors_are_what_shuffled_rows_show(measure, estimator):
    student, teacher = layers(200, (9, 1.0), (12, 3.0)), layers(200, (12, 2.0), (15, 0.3), (8, 5.0), seed=7)
    floors = estimate(student, teacher, measure, estimator, (0, 100, None))
    shuffled = []
    for seed in range(60):
        order = torch.randperm(200, generator=torch.Generator().manual_seed(seed))
        shuffled.append(reference(student, [rows[order] for rows in teacher], measure, estimator))
    values = torch.stack(shuffled)
    spread = (values.amax(2) - values.amin(2)).amax(1).quantile(0.95)
    assert floors.noise_floor == pytest.approx(float(values.abs().quantile(0.95)), rel=0.3)
    assert floors.spread_floor == pytest.approx(float(spread), rel=0.5)


def test_the_noise_floor_shrinks_with_the_samples():
    student, teacher = layers(2048, (9, 1.0)), layers(2048, (12, 2.0), seed=7)
    few, many = (estimate(student, teacher, batches=(0, 64, end)).noise_floor for end in (128, 2048))
    assert many == pytest.approx(few / 16, rel=0.05)


@EVERY
def test_standard_errors_are_of_the_size_of_what_new_samples_change(measure, estimator):
    def of_draw(seed):
        factors = randn(256, 6, seed=1000 + seed)
        x = factors @ randn(6, 10) + 2 * randn(256, 10, seed=2000 + seed)
        y = factors @ randn(6, 12, seed=1) + 2 * randn(256, 12, seed=3000 + seed)
        return estimate([x], [y], measure, estimator, (0, 64, 128, 192, None))

    draws = [of_draw(seed) for seed in range(40)]
    spread = torch.stack([draw.values for draw in draws]).std()
    said = torch.stack([draw.standard_errors for draw in draws]).square().mean().sqrt()
    assert 0.6 * spread < said < 1.7 * spread


def test_few_large_batches_and_many_small_ones_both_carry_standard_errors():
    student, teacher = layers(256, (9, 1.0)), layers(256, (12, 2.0), seed=7)
    one, many = (
        estimate(student, teacher, batches=parts).standard_errors.item() for parts in ((0, None), (*range(257),))
    )
    assert one == pytest.approx(many, rel=0.7)


@EVERY
def test_repeats_under_its_seed(measure, estimator):
    student, teacher = layers(90, (9, 1.0)), layers(90, (12, 2.0), seed=7)
    one, again, other = (estimate(student, teacher, measure, estimator, seed=seed) for seed in (0, 0, 1))
    assert one.noise_floor == again.noise_floor != other.noise_floor
    assert (one.values == other.values).all()


def test_features_that_are_not_finite_are_named():
    student, teacher = layers(20, (3, 1.0), (3, 1.0)), layers(20, (4, 1.0), seed=7)
    for spoilt, name in ((student[1], "student layer 1"), (teacher[0], "teacher layer 0")):
        kept = spoilt[5, 2].clone()
        spoilt[5, 2] = torch.inf
        with pytest.raises(TaskError, match=f"finite, but {name}"):
            estimate(student, teacher)
        spoilt[5, 2] = kept


def test_rows_of_other_samples_or_of_another_width_are_refused():
    sums = CovarianceSums("cka", 1, 1)
    with pytest.raises(TaskError, match=r"teacher layer 0.*\(10, 4\).*\(9, 4\)"):
        sums.add([randn(10, 3)], [randn(9, 4)])
    sums = CovarianceSums("cka", 1, 1)
    sums.add([randn(10, 3)], [randn(10, 4)])
    with pytest.raises(TaskError, match=r"student layer 0.*\(10, 3\).*\(10, 5\)"):
        sums.add([randn(10, 5)], [randn(10, 4)])


def test_pairs_too_wide_are_refused_with_the_way_out():
    with pytest.raises(SpecError, match=r"1024 MiB.* 2 layers.* 8192 .*15367 MiB"):
        CovarianceSums("procrustes", 2, 4).add([torch.zeros(4, 8192)] * 2, [torch.zeros(4, 8192)] * 4)


def test_a_tight_budget_costs_the_standard_errors_only(monkeypatch):
    student, teacher = layers(90, (30, 1.0)), layers(90, (40, 2.0), seed=7)
    rich = estimate(student, teacher)
    monkeypatch.setattr(covariances, "MAX_SUMS_BYTES", 8 * 2 * (32 * 42 + 32**2 + 42**2))
    poor = estimate(student, teacher)
    assert rich.standard_errors is not None
    assert poor.standard_errors is None
    torch.testing.assert_close(poor.values, rich.values)


def test_what_is_kept_survives_the_network_writing_over_its_features():
    rows = randn(10, 3)
    kept = CovarianceSums("cka", 1, 1).reduce(0, 0, rows)
    before = kept.clone()
    rows.zero_()
    assert (kept == before).all()
