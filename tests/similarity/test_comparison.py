"""Two similarities held against each other, with numbers known beforehand."""

import json
from dataclasses import replace

import pytest

from mapsearch.core.errors import SimilarityError
from mapsearch.core.similarity import Similarity
from mapsearch.similarity.comparison import compare_similarities

BEFORE = Similarity(
    ("s.0", "s.1"), ("t.0", "t.1", "t.2"), ((0.9, 0.5, 0.1), (0.2, 0.6, 0.3)), 0.05, "cka", 256, "rows",
    spread_floor=0.04, standard_errors=((0.02,) * 3,) * 2, estimator="debiased", digest="a" * 12,
)  # fmt: skip
AFTER = replace(BEFORE, values=((0.9, 0.5, 0.1), (0.2, 0.4, 0.7)))


def test_the_largest_change_and_where():
    largest = compare_similarities(BEFORE, AFTER).largest
    assert (largest.student, largest.teacher, largest.before, largest.after) == ("s.1", "t.2", 0.3, 0.7)
    assert largest.difference == pytest.approx(0.4)


def test_difference_is_after_minus_before():
    difference = compare_similarities(BEFORE, AFTER).difference
    assert difference[0] == (0, 0, 0)
    assert difference[1] == pytest.approx((0, -0.2, 0.4))


@pytest.mark.parametrize(
    ("after", "rho"),
    [
        (BEFORE.values, 1.0),
        (((0.1, 0.5, 0.9), (0.8, 0.4, 0.7)), -1.0),
        (((1.0, 1.0, 0.0), (0.0, 1.0, 0.0)), (13.5 / 17.5) ** 0.5),  # ranks 5 5 2 2 5 2 against 6 4 1 2 5 3
        (((0.5,) * 3,) * 2, None),
    ],
)
def test_rank_correlation_is_spearmans_with_ties_at_their_mean_rank(after, rho):
    found = compare_similarities(BEFORE, replace(BEFORE, values=after)).rank_correlation
    assert found == (None if rho is None else pytest.approx(rho))


def test_a_change_of_best_teacher_is_certain_when_both_clearly_prefer_their_own():
    first, second = compare_similarities(BEFORE, AFTER).best
    assert (first.before, first.after, first.changed, first.certain) == ("t.0", "t.0", False, None)
    assert (second.before, second.after, second.changed, second.certain) == ("t.1", "t.2", True, True)


def test_a_change_within_the_errors_is_not_certain():
    # a lead of 0.05 is under 1.96 * sqrt(0.02^2 + 0.02^2) = 0.055
    close = replace(AFTER, values=(AFTER.values[0], (0.2, 0.6, 0.65)))
    assert compare_similarities(BEFORE, close).best[1].certain is False
    assert compare_similarities(close, BEFORE).best[1].certain is False
    unknown = replace(AFTER, standard_errors=None)
    assert compare_similarities(BEFORE, unknown).best[1].certain is None


def test_two_equal_similarities_have_nothing_to_note():
    comparison = compare_similarities(BEFORE, BEFORE)
    assert comparison.same_samples is True
    assert comparison.notes == ()
    assert comparison.largest.difference == 0


@pytest.mark.parametrize(
    ("changes", "same", "note"),
    [
        ({"digest": "b" * 12}, False, "they saw different samples"),
        ({"digest": ""}, None, "not known whether both saw the same samples"),
        ({"measure": "procrustes"}, True, "two measures, cka and procrustes: compare their ranks, not their values"),
        ({"features": "first token"}, True, "`features` differs: rows; first token"),
        ({"estimator": ""}, True, "`estimator` differs: debiased; unknown"),
        ({"n_samples": 64}, True, "`n_samples` differs: 256; 64"),
        ({"values": ((0.5,) * 3,) * 2}, True, "the second cannot rank layers: its best teachers are chance"),
    ],
)
def test_what_makes_them_hard_to_compare_is_noted(changes, same, note):
    comparison = compare_similarities(BEFORE, replace(BEFORE, **changes))
    assert comparison.notes == (note,)
    assert comparison.same_samples is same


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"student_layers": ("s.0", "x.1")},
            r"the same student layers, but only the first has `s\.1` and only the second has `x\.1`",
        ),
        ({"teacher_layers": ("t.1", "t.0", "t.2")}, "teacher layers.*order"),
        (
            {"teacher_layers": ("t.0", "t.1"), "values": ((0.1, 0.2),) * 2},
            r"the same teacher layers, but only the first has `t\.2`$",
        ),
    ],
)
def test_other_layers_cannot_be_compared(changes, message):
    with pytest.raises(SimilarityError, match=message):
        compare_similarities(BEFORE, replace(BEFORE, **changes))


def test_the_json_of_a_comparison():
    data = compare_similarities(BEFORE, AFTER).to_json()
    assert json.loads(json.dumps(data, allow_nan=False))["largest"]["difference"] == pytest.approx(0.4)
    assert data["best"][1] == {"student": "s.1", "before": "t.1", "after": "t.2", "certain": True, "changed": True}
    assert {"rank_correlation", "same_samples", "notes", "difference", "before", "after"} <= set(data)
