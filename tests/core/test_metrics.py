import math

import pytest

from mapsearch.core.metrics import judged_by, metric_problem, storable
from mapsearch.core.runs import RunResult

KEY = (0, 2, 1)


def test_the_metric_of_the_study_must_be_measured():
    assert metric_problem({"accuracy": 0.5}, "accuracy") == ""
    assert "did you mean `accuracy`?" in metric_problem({"accuracy": 0.5, "loss": 1.0}, "acuracy")
    assert "it measures accuracy, loss" in metric_problem({"loss": 1.0, "accuracy": 0.5}, "f1")


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e308, -1e101])
def test_its_value_must_be_one_that_can_be_compared(value):
    assert "finite" in metric_problem({"loss": value}, "loss")


def test_a_complete_run_without_a_usable_value_is_invalid():
    good = RunResult(KEY, "complete", metrics={"accuracy": 0.5, "f1": math.nan})
    assert judged_by(good, "accuracy") is good  # the others may be what they like
    assert judged_by(good, "f1").state == "invalid"
    assert "`f1`" in judged_by(good, "f1").error
    assert "not measured" in judged_by(good, "loss").error
    crashed = RunResult(KEY, "crashed", error="why")
    assert judged_by(crashed, "accuracy") is crashed


def test_what_json_cannot_hold_is_stored_as_null():
    assert storable({"a": 1.0, "b": math.nan, "c": math.inf}) == {"a": 1.0, "b": None, "c": None}
