import math

import pytest

from mapsearch.core.recipe import Recipe
from mapsearch.core.runs import Run, RunResult
from mapsearch.core.trials import Trial
from mapsearch.verdict.warnings import idle_features, weak_teacher

TRIALS = [
    Trial(0, "control", Recipe(), control="none"),
    Trial(1, "control", Recipe(output_weight=1.0), control="outputs"),
]


@pytest.mark.parametrize(
    ("teacher", "direction", "weak"), [(0.9, "maximize", False), (0.5, "maximize", True), (0.5, "minimize", False)]
)
def test_a_teacher_no_better_than_a_student_alone_is_told(teacher, direction, weak):
    runs = [
        Run(number, 0, 0, "tune", "valid", 10, "complete", 1, value, None) for number, value in ((0, 0.7), (1, 0.99))
    ]
    assert bool(weak_teacher(teacher, TRIALS, runs, direction)) == weak
    assert weak_teacher(math.nan, TRIALS, [], direction) == []


def steered(trial, seed, *shares):
    result = RunResult((trial, 0, seed), "complete", gradient_shares=shares)
    return Run(trial, 0, seed, "confirm", "test", 10, "complete", 1, 0.5, result)


def test_features_that_hardly_steer_the_student_are_told():
    runs = [steered(3, 0, 0.01, 0.02), steered(3, 1, 0.02, 0.02), steered(3, 2, 0.4, 0.1), steered(1, 0)]
    (warning,) = idle_features(3, runs)
    assert "4.0% of the gradient" in warning
    assert "`space.share_of: gradient`" in warning
    assert idle_features(3, [steered(3, 0, 0.03, 0.02)]) == []
    assert idle_features(4, runs) == [], "nothing is known of it"
