import math

import pytest

from mapsearch.core.recipe import Recipe
from mapsearch.core.runs import Run
from mapsearch.core.trials import Trial
from mapsearch.verdict.warnings import weak_teacher

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
