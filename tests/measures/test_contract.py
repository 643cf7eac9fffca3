"""What every measure keeps, whatever it measures."""

from itertools import pairwise
from typing import get_args

import pytest
import torch

from mapsearch.core.errors import TaskError
from mapsearch.core.similarity import ALL_AT_ONCE, MeasureName
from mapsearch.measures.table import open_sums

EVERY = pytest.mark.parametrize("measure", get_args(MeasureName))
DEBIASED = [("cka", 64), ("cka", "all"), ("rbf_cka", 64), ("distance_correlation", 64), ("mutual_knn", 256)]
N = 203
BATCHES = (0, 96, N)
# Of float32: two distances that it cannot tell apart swap places, one rank in 2,016 or one neighbour in ten.
ERRORS = {"rsa": 1e-4, "mutual_knn": 2e-3}


def randn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def layers(*noises, n=N, width=12, seed=0):
    """Of each noise a layer that sees the same six factors through it."""
    factors = randn(n, 6, seed=99)
    return [
        factors @ randn(6, width, seed=i + seed) + noise * randn(n, width, seed=50 + i + seed)
        for i, noise in enumerate(noises)
    ]


def measure_rows(measure, student, teacher, batches=BATCHES, **options):
    """The estimate of whole layers, given in batches that start and end at `batches`."""
    sums = open_sums(measure, len(student), len(teacher), **options)
    for start, end in pairwise(batches):
        is_counted = False
        for _ in range(3):
            kept = (
                [sums.reduce(network, i, rows[start:end]) for i, rows in enumerate(features)]
                for network, features in enumerate((student, teacher))
            )
            if is_counted := sums.add(*kept):
                break
        assert is_counted, "a batch is asked for again twice at most"
    return sums.estimate()


def error_of(measure):
    return ERRORS.get(measure, 1e-5)


@EVERY
def test_equal_features_are_one(measure):
    student = layers(0.3, 2.0)
    for rows in (student, [r.float() for r in student], [r.bfloat16() for r in student]):
        values = measure_rows(measure, rows, rows).values
        assert values.diagonal().tolist() == pytest.approx([1, 1], abs=1e-6)
        assert (values <= 1 + 1e-6).all()


@EVERY
def test_blind_to_rotation_scale_and_offset(measure):
    student, teacher = layers(0.3, 2.0), layers(1.0, 3.0, seed=7)
    rotation = torch.linalg.qr(randn(12, 12, seed=5)).Q
    moved = [rows @ rotation * 40 + 3 * randn(12, seed=6) for rows in teacher]
    plain, after = (measure_rows(measure, student, rows).values for rows in (teacher, moved))
    torch.testing.assert_close(after, plain, atol=error_of(measure), rtol=0)


@EVERY
def test_the_networks_may_change_places(measure):
    student, teacher = layers(0.3, 2.0), layers(1.0, 3.0, 0.2, width=20, seed=7)
    one, other = measure_rows(measure, student, teacher).values, measure_rows(measure, teacher, student).values
    assert one.shape == (2, 3)
    assert one.dtype == torch.float64
    torch.testing.assert_close(other.T, one, atol=1e-6, rtol=0)


@EVERY
def test_noise_takes_it_away(measure):
    (clean,) = layers(0.0)
    noise = randn(N, 12, seed=8) * clean.std()
    values = measure_rows(measure, [clean], [clean + share * noise for share in (0, 0.3, 1.0, 3.0)] + [noise]).values
    assert all(less < more - 0.02 for more, less in pairwise(values[0].tolist()))


@EVERY
def test_unrelated_features_stay_under_the_floors_and_related_ones_pass_them(measure):
    within_noise, within_spread = [], []
    for seed in range(8):
        student, unrelated = (
            [randn(N, 6, seed=i) @ randn(6, 12, seed=900 + i) + randn(N, 12, seed=500 + i) for i in range(at, at + 3)]
            for at in (10 * seed, 10 * seed + 5)
        )
        got = measure_rows(measure, student, unrelated, seed=seed)
        assert 0 < got.noise_floor < 1
        assert 0 < got.spread_floor < 1
        within_noise.append((got.values.abs() <= got.noise_floor).double().mean())
        within_spread.append((got.values.amax(1) - got.values.amin(1)).amax() <= got.spread_floor)
    assert sum(within_noise) / 8 >= 0.88  # 0.95 expected
    assert sum(within_spread) >= 5  # 7.6 expected
    related = measure_rows(measure, layers(0.3, 1.0), layers(0.5, seed=7))
    assert (related.values > related.noise_floor).all()


@pytest.mark.parametrize(("measure", "block"), DEBIASED)
def test_unrelated_features_are_about_zero_with_fewer_samples_than_channels(measure, block):
    values = [
        measure_rows(measure, [randn(256, 600, seed=s)], [randn(256, 600, seed=s + 50)], (0, 256), block=block).values
        for s in range(3)
    ]
    assert torch.stack(values).abs().max() <= 0.03


@EVERY
@pytest.mark.parametrize("value", [0.0, 0.1, 1e8])
def test_a_constant_layer_is_zero_and_leaves_the_others_alone(measure, value):
    student, teacher, constant = layers(0.3, 2.0), layers(1.0, seed=7), torch.full((N, 5), value)
    got = measure_rows(measure, [student[0], constant, student[1]], [constant, *teacher])
    assert (got.values[1] == 0).all()
    assert (got.values[:, 0] == 0).all()
    assert got.standard_errors is None or got.standard_errors.isfinite().all()
    alone = measure_rows(measure, student, teacher).values
    torch.testing.assert_close(got.values[[0, 2], 1:], alone, atol=1e-5, rtol=0)


@EVERY
def test_a_second_copy_of_a_layer_has_its_values(measure):
    student, (first, second) = layers(0.3, 2.0), layers(1.0, 3.0, seed=7)
    values = measure_rows(measure, student, [first, second, first]).values
    torch.testing.assert_close(values[:, 0], values[:, 2], atol=1e-12, rtol=0)


@EVERY
@pytest.mark.parametrize("last", [1, 2, 3, 40])
def test_a_short_last_batch_spoils_nothing(measure, last):
    student, teacher = layers(0.3, 2.0, n=192 + last), layers(1.0, n=192 + last, seed=7)
    got = measure_rows(measure, student, teacher, (0, 64, 128, 192, 192 + last))
    without = measure_rows(measure, [s[:192] for s in student], [t[:192] for t in teacher], (0, 64, 128, 192))
    assert got.values.isfinite().all()
    # one sample of 193 moves no value by more than this; a batch counted twice would
    torch.testing.assert_close(got.values, without.values, atol=0.01 + 0.15 * (last == 40), rtol=0)
    small = measure_rows(measure, student, teacher, (0, last))
    assert small.values.isfinite().all()


# How features come, and how to bring them back about zero and one in float64.
SPOILT = {
    "offset 30": (lambda x: x.float() + 30, lambda x: x - 30),
    "one channel +3000": (lambda x: x.float() + 3000 * FIRST.float(), lambda x: x - 3000 * FIRST),
    "scale 1e-3": (lambda x: x.float() * 1e-3, lambda x: x * 1e3),
    "scale 1e4": (lambda x: x.float() * 1e4, lambda x: x * 1e-4),
    "scale 1e10": (lambda x: x.float() * 1e10, lambda x: x * 1e-10),
    "scale 1e10 at offset 1e11": (lambda x: (x.float() + 10) * 1e10, lambda x: x * 1e-10 - 10),
    "float16": (lambda x: x.half(), lambda x: x),
    "float16 at scale 30 and offset 100": (lambda x: (30 * x + 100).half(), lambda x: (x - 100) / 30),
    "bfloat16": (lambda x: x.bfloat16(), lambda x: x),
    "bfloat16 at offset 5": (lambda x: (x + 5).bfloat16(), lambda x: x - 5),
    "an outlier": (lambda x: torch.cat([x[:7], 500 * x[7:8], x[8:]]).float(), lambda x: x),
}
FIRST = (torch.arange(12) == 0).double()


@EVERY
@pytest.mark.parametrize(("spoil", "restore"), SPOILT.values(), ids=SPOILT)
def test_hard_features_lose_no_digits(measure, spoil, restore):
    student, teacher = ([spoil(rows) for rows in features] for features in (layers(0.3, 2.0), layers(1.0, seed=7)))
    restored = ([restore(rows.double()) for rows in features] for features in (student, teacher))
    expected = measure_rows(measure, *restored).values
    got = measure_rows(measure, student, teacher)
    torch.testing.assert_close(got.values, expected, atol=error_of(measure), rtol=0)
    assert 0 < got.noise_floor < 1


@EVERY
def test_an_offset_that_only_later_batches_have_loses_no_digits(measure):
    student, teacher = ([rows.float() for rows in features] for features in (layers(0.3, 2.0), layers(1.0, seed=7)))
    late = [torch.cat([rows[:96], rows[96:] * 1e3]) for rows in teacher]
    expected = measure_rows(measure, [r.double() for r in student], [r.double() * 1e-3 for r in late]).values
    torch.testing.assert_close(measure_rows(measure, student, late).values, expected, atol=error_of(measure), rtol=0)


@pytest.mark.parametrize("measure", ALL_AT_ONCE)
def test_all_at_once_is_the_same_in_any_order_and_any_batches(measure):
    student, teacher = layers(0.3, 2.0), layers(1.0, seed=7)
    order = torch.randperm(N, generator=torch.Generator().manual_seed(0))
    plain = measure_rows(measure, student, teacher, block="all").values
    mixed = ([rows[order] for rows in features] for features in (student, teacher))
    cut = measure_rows(measure, *mixed, (0, 1, 3, 70, 200, N), block="all").values
    torch.testing.assert_close(cut, plain, atol=1e-9, rtol=0)


def test_blocks_estimate_what_all_samples_at_once_give():
    student, teacher = layers(0.3, 2.0, n=2048), layers(1.0, 3.0, n=2048, seed=7)
    blocks, whole = (
        measure_rows("cka", student, teacher, tuple(range(0, 2049, 256)), block=block) for block in (64, "all")
    )
    torch.testing.assert_close(blocks.values, whole.values, atol=0.01, rtol=0)
    # shuffled, all pairs of samples in blocks are fewer by a share of 64 / 2048, and the deviation larger by its root
    assert blocks.noise_floor == pytest.approx(whole.noise_floor * 32**0.5, rel=0.35)
    assert blocks.spread_floor == pytest.approx(whole.spread_floor * 32**0.5, rel=0.35)
    ratio = blocks.standard_errors / whole.standard_errors
    assert ((ratio > 0.4) & (ratio < 2.5)).all()


@EVERY
def test_standard_errors_are_of_the_size_of_what_new_samples_change(measure):
    def of_draw(seed):
        n = 512
        factors = randn(n, 6, seed=1000 + seed)
        x = factors @ randn(6, 10) + 2 * randn(n, 10, seed=2000 + seed)
        y = factors @ randn(6, 10, seed=1) + 2 * randn(n, 10, seed=3000 + seed)
        block = {"block": 64} if measure == "mutual_knn" else {}  # eight blocks of 512 samples, not two
        return measure_rows(measure, [x], [y], tuple(range(0, n + 1, 64)), **block)

    draws = [of_draw(seed) for seed in range(24)]
    spread = torch.stack([draw.values for draw in draws]).std()
    said = torch.stack([draw.standard_errors for draw in draws]).square().mean().sqrt()
    assert spread / 2 < said < 2 * spread


@EVERY
def test_repeats_under_its_seed(measure):
    student, teacher = layers(0.3, 2.0), layers(1.0, seed=7)
    one, again, other = (measure_rows(measure, student, teacher, seed=seed) for seed in (0, 0, 1))
    assert (one.noise_floor, one.spread_floor) == (again.noise_floor, again.spread_floor)
    assert one.noise_floor != other.noise_floor
    assert (one.values == again.values).all()
    assert (one.values == other.values).all()


@EVERY
def test_asking_in_between_changes_nothing(measure):
    student, teacher = layers(0.3, 2.0), layers(1.0, seed=7)
    sums = open_sums(measure, 2, 1)
    for start, end in pairwise(BATCHES):
        for _ in range(3):
            kept = (
                [sums.reduce(k, i, rows[start:end]) for i, rows in enumerate(features)]
                for k, features in enumerate((student, teacher))
            )
            if sums.add(*kept):
                break
        got, again = sums.estimate(), sums.estimate()
        assert (got.noise_floor, got.spread_floor) == (again.noise_floor, again.spread_floor)
    straight = measure_rows(measure, student, teacher)
    assert (got.values == straight.values).all()
    assert (got.noise_floor, got.spread_floor) == (straight.noise_floor, straight.spread_floor)


@EVERY
@pytest.mark.parametrize("bad", [torch.inf, torch.nan])
def test_features_that_are_not_finite_are_named(measure, bad):
    student, teacher = layers(0.3, 2.0), layers(1.0, seed=7)
    student[1][100, 3] = bad
    with pytest.raises(TaskError, match=r"finite.*student layer 1"):
        measure_rows(measure, student, teacher)


@EVERY
def test_it_says_how_it_was_estimated(measure):
    got = measure_rows(measure, layers(0.3), layers(1.0, seed=7))
    assert got.estimator.split(",")[0] in ("debiased", "biased", "centred")
