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


@pytest.mark.parametrize("metric", ["mse", "val_loss", "Test Loss", "top1_error", "word_error_rate", "nll_mean"])
def test_a_metric_that_ends_like_a_loss_needs_a_stated_direction(metric):
    with pytest.raises(SpecError, match="`direction`: must be stated"):
        study(metric)
    assert study(metric, "minimize").direction == "minimize"
    assert study(metric, "minimize").notices == ()


@pytest.mark.parametrize("metric", ["loss", "rmse", "perplexity", "absolute_error"])
def test_the_direction_of_a_default_metric_is_known_and_said(metric):
    assert study(metric).direction == "minimize"
    assert "`direction` is minimize" in study(metric).notices[0]
    assert study(metric, "minimize").notices == ()


@pytest.mark.parametrize(
    ("metric", "direction", "suggested"),
    [
        ("loss", "maximize", "minimize"),
        ("neg_loss", "maximize", "minimize"),
        ("MSE", "maximize", "minimize"),
        ("accuracy", "minimize", "maximize"),
        ("macro_f1", "minimize", "maximize"),
        ("f1_macro", "minimize", "maximize"),
        ("accuracy_3", "minimize", "maximize"),
    ],
)
def test_a_stated_direction_always_holds_and_is_answered_with_a_notice(metric, direction, suggested):
    spec = study(metric, direction)
    assert spec.direction == direction
    assert f"`{metric}` suggests {suggested}" in spec.notices[0]


@pytest.mark.parametrize("metric", ["error_free", "loss_reduction", "gloss_f1"])
def test_a_loss_elsewhere_in_the_name_says_nothing(metric):
    assert study(metric).direction == study(metric, "maximize").direction == "maximize"
    assert study(metric).notices == study(metric, "maximize").notices == ()


def test_other_problems_are_told_beside_it():
    with pytest.raises(SpecError) as caught:
        parse_study("task: t.py:T\nmetric: val_loss\ntrain: {lr: 0}", Path("study.yaml"))
    assert len(caught.value.problems) == 3
