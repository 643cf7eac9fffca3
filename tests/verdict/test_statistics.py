import itertools
from statistics import mean, stdev

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mapsearch.verdict.statistics import adjusted_p_values, bca_interval

UNEVEN = np.array([0.011, -0.008, 0.003, -0.012, 0.007, -0.001])


@given(st.lists(st.floats(-1, 1).map(lambda x: round(x, 3)), min_size=2, max_size=7))
def test_the_p_value_of_one_control_is_that_of_all_sign_flips(differences):
    def t(values):
        largest = max(map(abs, values)) or 1.0
        return abs(mean(values)) / max(stdev(values), 1e-9 * largest)

    flips = list(itertools.product((1, -1), repeat=len(differences)))
    as_large = [t([s * d for s, d in zip(signs, differences, strict=True)]) >= t(differences) - 1e-9 for signs in flips]
    found = adjusted_p_values({"a": np.array(differences)}, {"a": list(range(len(differences)))})
    assert found["a"] == pytest.approx(sum(as_large) / len(flips))


def test_adjusted_p_values_are_never_below_those_of_one_control_and_keep_their_order():
    rng = np.random.default_rng(0)
    seeds = {name: list(range(6)) for name in "abcd"}
    for _ in range(20):
        d = {name: rng.normal(0.5 * i, 1, 6) for i, name in enumerate("abcd")}
        together = adjusted_p_values(d, seeds)
        alone = {name: adjusted_p_values({name: d[name]}, seeds)[name] for name in d}
        assert all(together[name] >= alone[name] - 1e-12 for name in d)
        t = {name: abs(x.mean()) / x.std(ddof=1) for name, x in d.items()}
        ordered = sorted(d, key=lambda name: -t[name])
        assert [together[name] for name in ordered] == sorted(together.values())


def test_family_wise_error_under_the_null():
    """10 controls that share the nominee's noise, six seeds: at most one study in twenty finds anything."""
    rng = np.random.default_rng(1)
    names = [f"c{i}" for i in range(10)]
    seeds = {name: list(range(6)) for name in names}
    n_found = 0
    for _ in range(400):
        nominee, seed_effect = rng.normal(0, 1, 6), rng.normal(0, 1, 6)
        d = {name: (nominee + seed_effect) - (rng.normal(0, 1, 6) + seed_effect) for name in names}
        n_found += min(adjusted_p_values(d, seeds).values()) < 0.05
    assert 0 < n_found / 400 <= 0.05


def test_a_clear_effect_is_found_against_every_control():
    rng = np.random.default_rng(2)
    names = [f"c{i}" for i in range(10)]
    seeds = {name: list(range(6)) for name in names}
    n_found = 0
    for _ in range(100):
        nominee = rng.normal(4, 1, 6)
        p = adjusted_p_values({name: nominee - rng.normal(0, 1, 6) for name in names}, seeds)
        n_found += max(p.values()) < 0.05
    assert n_found >= 80


def test_the_interval_covers_the_mean_nineteen_times_in_twenty_or_nearly():
    rng = np.random.default_rng(3)
    covered = 0
    for _ in range(100):
        low, high = bca_interval(rng.normal(0, 1, 16))
        covered += low <= 0 <= high
    assert 86 <= covered <= 99
    assert bca_interval(np.full(6, 0.25)) == (0.25, 0.25)
    assert bca_interval(UNEVEN) == bca_interval(UNEVEN)
