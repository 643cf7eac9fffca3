import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mapsearch.core.looks import ERROR_SHARES, LOOKS, error_spent, next_look
from mapsearch.verdict import looks
from mapsearch.verdict.looks import C_TIE, CONSTANTS, C, chance_to_decide, is_futile, seeds_to_settle

WOBBLE = [0.011, -0.008, 0.003, -0.012, 0.007, -0.001]
"""Seed noise with a standard deviation of about 0.009."""


def look(differences, margin=0.0, base=None):
    """A look at these differences to a control, whose values are far finer than they unless they are given."""
    control = base or [0.3 + 1e-9 * i for i in range(len(differences))]
    return looks.look([d + c for d, c in zip(differences, control, strict=True)], control, margin)


def around(level, effect=1.0):
    return [level + effect * w for w in WOBBLE]


@pytest.mark.parametrize(
    ("differences", "margin", "outcome"),
    [
        (around(0.05), 0.01, "BEATS"),
        (around(-0.05), 0.01, "WORSE"),
        (around(0.0), 0.02, "TIES"),
        (around(0.015), 0.03, "TIES"),
        (around(0.0, 10), 0.02, "INCONCLUSIVE"),
        ([0.0] * 4, 0.0, "TIES"),
        ([0.02] * 6, 0.01, "BEATS"),
        ([-0.02] * 6, 0.01, "WORSE"),
    ],
)
def test_outcomes(differences, margin, outcome):
    now = look(differences, margin)
    assert now.outcome == outcome
    assert now.low <= now.mean <= now.high
    assert now.mean == pytest.approx(sum(differences) / len(differences))


def test_a_tie_is_said_before_a_win_that_does_not_matter():
    assert look(around(0.001, 0.01), margin=0.01).outcome == "TIES"
    assert look(around(0.001, 0.01), margin=0.0).outcome == "BEATS"


def test_twelve_points_on_400_samples_are_a_win_at_the_first_look():
    differences = [n / 400 for n in (50, 40, 45, 47)]
    assert look(differences, margin=0.006, base=[0.5, 0.52, 0.515, 0.5025]).outcome == "BEATS"


def test_equal_differences_of_a_coarse_metric_are_not_taken_for_no_noise():
    assert look([1 / 400] * 4, base=[0.5, 0.5025, 0.51, 0.515]).outcome == "INCONCLUSIVE"
    assert look([1 / 400] * 4).outcome == "BEATS"


def test_the_p_value_is_that_of_a_paired_t_test():
    from scipy import stats

    assert look(around(0.01)).p_value == pytest.approx(stats.ttest_1samp(around(0.01), 0.0).pvalue)


@given(st.integers(1, 300))
def test_a_request_goes_up_to_the_next_look(n):
    assert next_look(n) in LOOKS
    assert next_look(n) >= min(n, LOOKS[-1])


def test_later_looks_never_need_much_more_than_the_first():
    assert all(C_TIE[n] < C[n] <= C[4] for n in LOOKS)


@pytest.mark.parametrize("n", LOOKS)
def test_less_error_takes_wider_intervals_at_every_look(n):
    rows = [CONSTANTS[share][n] for share in (2.0, *ERROR_SHARES)]
    assert rows == sorted(rows)
    shared = looks.look(around(0.012), [0.3 + 1e-9 * i for i in range(6)], 0.0, share=0.25)
    assert shared.high - shared.low > look(around(0.012)).high - look(around(0.012)).low


def test_the_first_look_is_a_plain_t_test():
    from scipy import stats

    for share in (2.0, *ERROR_SHARES):
        assert CONSTANTS[share][4] == pytest.approx(stats.t.isf(0.025 * share * error_spent(4), 3), abs=0.006)


@pytest.mark.slow
@pytest.mark.parametrize("share", [1.0, 0.5, 0.25])
def test_constants_are_quantiles_of_null_paths(share):
    """Spent by look n: 0.025 (1 - 3.5 / n) a side; 200,000 fresh paths, so that a standard error is 0.0003."""
    rng, n_paths = np.random.default_rng(0), 200_000
    ever = np.zeros(n_paths, dtype=bool)
    paths = rng.standard_normal((n_paths, 30))
    for n in (n for n in LOOKS if n <= 30):
        d = paths[:, :n]
        t = d.mean(1) / (d.std(1, ddof=1) / math.sqrt(n))
        ever |= t > CONSTANTS[share][n]
        assert ever.mean() == pytest.approx(0.025 * share * error_spent(n), abs=0.0012)


def test_a_difference_of_zero_seldom_wins_at_any_of_five_looks():
    rng, n_paths = np.random.default_rng(1), 4000
    paths = rng.standard_normal((n_paths, 14))
    wins = [any(look(d[:n]).outcome in ("BEATS", "WORSE") for n in LOOKS if n <= 14) for d in paths]
    assert np.mean(wins) <= 0.05


def test_a_second_nominee_judged_on_the_same_seeds_adds_no_false_wins():
    """The control's seeds are shared, and who searches on has seen that the first nominee did not win."""
    rng, wins = np.random.default_rng(3), []
    for _ in range(2000):
        control, *nominees = rng.standard_normal((3, 14))
        shares = (1.0, 0.25)  # of which the first leaves a quarter after 14 seeds
        wins.append(
            any(
                looks.look(nominee[:n], control[:n], 0.0, share).outcome == "BEATS"
                for nominee, share in zip(nominees, shares, strict=True)
                for n in LOOKS
                if n <= 14
            )
        )
    assert np.mean(wins) <= 0.025 + 0.004


def test_intervals_cover_whenever_one_stops():
    rng, covered = np.random.default_rng(2), []
    for d in rng.standard_normal((3000, 14)) + 0.7:
        looks = [look(d[:n]) for n in LOOKS if n <= 14]
        last = next((now for now in looks if now.outcome == "BEATS"), looks[-1])
        covered.append(last.low <= 0.7 <= last.high)
    assert np.mean(covered) >= 0.95


def test_a_question_without_a_chance_is_given_up_and_one_with_a_chance_is_not():
    assert is_futile(look(around(0.001, 10)), n_max=8, margin=0.001)
    assert not is_futile(look(around(0.01)), n_max=14, margin=0.001)
    assert not is_futile(look(around(0.001, 10)[:4]), n_max=4 + 2, margin=0.001), "too early to give up"


def test_the_chance_to_decide_is_one_where_nothing_varies():
    assert chance_to_decide(look([0.1] * 6), 14, 0.0) == 1.0


@pytest.mark.parametrize("differences", [around(0.004), around(0.0, 3), around(0.002, 5)])
def test_seeds_to_settle_is_a_look_beyond_those_allowed(differences):
    now = look(differences, margin=0.004)
    assert seeds_to_settle(now, 0.004, n_max=14) in LOOKS
    assert seeds_to_settle(now, 0.004, n_max=14) > 14
