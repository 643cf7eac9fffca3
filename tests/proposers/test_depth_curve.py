import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mapsearch.proposers.curve_numbers import Limits, drawn_curve, stepped_curve
from mapsearch.proposers.depth_curve import DepthCurve, straight_curve

LIMITS = Limits((-2.0, 2.0), 4)


def weights(curve, S, T, z=None, legal=None):
    return curve.weights(
        np.zeros((S, T)) if z is None else np.array(z), np.ones((S, T), dtype=bool) if legal is None else legal
    )


def rows(matrix):
    return [[t + 1 for t, weight in enumerate(row) if weight] for row in matrix]


@pytest.mark.parametrize(
    ("curve", "expected"),
    [
        (DepthCurve(0.0, 1.0), [[1], [5], [9], [13]]),
        (DepthCurve(1.0, 0.75), [[13], [12], [11], [10]]),
        (DepthCurve(0.5, 0.5), [[7]] * 4),
        (DepthCurve(0.0, 1.0, bend=2.0), [[1], [2], [6], [13]]),
        (DepthCurve(0.0, 1.0, n_kept=3), [[1, 2], [4, 5, 6], [8, 9, 10], [12, 13]]),
        (DepthCurve(0.0, 0.5, shift=0.5), [[1, 7], [3, 9], [5, 11], [7, 13]]),  # far teachers of one row
        (DepthCurve(0.0, 1.0, first=0.5), [[], [], [9], [13]]),
        (DepthCurve(0.0, 1.0, last=0.3), [[1], [5], [], []]),
    ],
)
def test_special_curves(curve, expected):
    assert rows(weights(curve, 4, 13)) == expected


def test_the_same_curve_means_the_same_depths_in_a_teacher_twice_as_deep():
    small, large = (weights(DepthCurve(0.1, 0.9, spread=0.5, n_kept=100), 4, T) for T in (13, 25))
    centres = [(matrix @ np.arange(T)) / (T - 1) for matrix, T in ((small, 13), (large, 25))]
    assert centres[0] == pytest.approx(centres[1], abs=0.03)
    assert (large > 0).sum() > 1.6 * (small > 0).sum(), "its rows are wider by T/S"


def test_the_similarity_prior_can_be_followed_switched_off_and_inverted():
    z = [[0.0, 3.0, -3.0]]
    found = [rows(weights(DepthCurve(0.0, 0.0, spread=0.5, prior=p), 1, 3, z)) for p in (2.0, 0.0, -2.0)]
    assert found == [[[2]], [[1]], [[3]]]


@given(st.integers(0, 2**31), st.integers(1, 6), st.integers(1, 9), st.data())
def test_drawn_and_stepped_curves_stay_on_the_teacher_and_among_legal_pairs(seed, S, T, data):
    rng = np.random.default_rng(seed)
    legal = np.array(data.draw(st.lists(st.lists(st.booleans(), min_size=T, max_size=T), min_size=S, max_size=S)))
    z = rng.standard_normal((S, T))
    curve = drawn_curve(LIMITS, rng)
    for _ in range(6):
        ends = np.array([curve.start, curve.end])
        for at in (ends, ends + curve.shift):
            assert at.min() >= -1e-9
            assert at.max() <= 1 + 1e-9, "no curve is cut at the last layer"
        matrix = weights(curve, S, T, z, legal)
        assert np.isfinite(matrix).all()
        assert not matrix[~legal].any()
        assert (np.count_nonzero(matrix, axis=1) <= 2 * curve.n_kept).all()
        before, curve = curve, stepped_curve(curve, LIMITS, rng)
        changed = {name for name in curve._fields if getattr(curve, name) != getattr(before, name)}
        assert len(changed - {"shift"}) <= 1, "a second curve gives way, nothing else does"


def test_no_two_drawn_curves_are_cut_to_one():
    rng = np.random.default_rng(0)
    ends = [drawn_curve(LIMITS, rng).end for _ in range(200)]
    assert len(set(ends)) == 200


def test_second_curves_are_drawn_as_far_as_the_teacher_allows():
    rng = np.random.default_rng(0)
    shifts = np.array([shift for _ in range(500) if (shift := drawn_curve(LIMITS, rng).shift)])
    assert 0.35 < len(shifts) / 500 < 0.45
    assert shifts.min() > 0.2
    assert np.mean(shifts > 0.5) == pytest.approx(0.5, abs=0.1), "not mostly near"


def test_straight_mappings_are_found_to_be_curves_and_others_not():
    assert straight_curve(np.eye(3)) == DepthCurve(0.0, 1.0)
    assert straight_curve(np.eye(3)[::-1]) == DepthCurve(1.0, 0.0)
    assert straight_curve(np.eye(3)[[0, 2, 1]]) is None
    assert straight_curve(np.ones((2, 3))) is None
    assert straight_curve(np.diag([1.0, 0.5])) is None
