from pathlib import Path

import pytest

from mapsearch.core.errors import SpecError
from mapsearch.core.study_file import parse_study


def study(metric, direction=None):
    stated = f"direction: {direction}\n" if direction else ""
    return parse_study(f"name: s\ntask: t.py:T\nmetric: {metric}\n{stated}", Path("study.yaml"))


@pytest.mark.parametrize("metric", ["gloss_f1", "lossless_share", "closeness", "maestro", "accuracy", "terror"])
def test_a_name_that_only_contains_the_letters_says_nothing(metric):
    assert study(metric).direction == "maximize"
    assert study(metric).notices == ()


@pytest.mark.parametrize("metric", ["loss", "val_loss", "Test Loss", "top1_error", "word_error_rate", "nll_mean"])
def test_a_metric_that_ends_like_a_loss_needs_a_stated_direction(metric):
    with pytest.raises(SpecError, match="`direction`: must be stated"):
        study(metric)
    assert study(metric, "minimize").direction == "minimize"
    assert study(metric, "minimize").notices == ()


@pytest.mark.parametrize("metric", ["neg_loss", "error_free_loss"])
def test_a_stated_direction_is_believed_and_answered_with_a_notice(metric):
    assert study(metric, "maximize").direction == "maximize"
    assert f"the name of the metric `{metric}` suggests minimize" in study(metric, "maximize").notices[0]


def test_a_loss_elsewhere_in_the_name_is_a_notice_that_a_stated_direction_ends():
    (notice,) = study("error_free").notices
    assert notice.endswith("state `direction: maximize` if that is meant")
    assert study("error_free", "maximize").notices == ()
    assert "suggests maximize" in study("macro_f1", "minimize").notices[0]


@pytest.mark.parametrize(("metric", "direction"), [("loss", "maximize"), ("MSE", "maximize"), ("accuracy", "minimize")])
def test_a_name_with_one_meaning_is_refused_the_other_way(metric, direction):
    with pytest.raises(SpecError, match=f"`direction`: `{direction}` would search for the student"):
        study(metric, direction)


def test_other_problems_are_told_beside_it():
    with pytest.raises(SpecError) as caught:
        parse_study("task: t.py:T\nmetric: val_loss\ntrain: {lr: 0}", Path("study.yaml"))
    assert len(caught.value.problems) == 3
