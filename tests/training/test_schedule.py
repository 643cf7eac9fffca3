import math
from typing import get_args

import pytest

from mapsearch.core.train_spec import ScheduleName, TrainSpec
from mapsearch.training.schedule import lr_factor


def factors(n_steps=100, **options):
    train = TrainSpec(**options)
    return [lr_factor(train, step, n_steps) for step in range(n_steps)]


@pytest.mark.parametrize("schedule", get_args(ScheduleName))
@pytest.mark.parametrize("n_steps", [5, 100])
def test_the_rate_rises_to_its_peak_and_never_again(schedule, n_steps):
    rates = factors(n_steps, schedule=schedule, warmup=0.2)
    peak = n_steps // 5
    assert rates[:peak] == pytest.approx([(i + 1) / peak for i in range(peak)])
    assert max(rates) == rates[peak] == 1
    assert rates[peak:] == sorted(rates[peak:], reverse=True)


@pytest.mark.parametrize(
    ("schedule", "halfway", "last"),
    [("cosine", 0.5, 0.5 * (1 + math.cos(math.pi * 79 / 80))), ("linear", 0.5, 1 / 80), ("constant", 1.0, 1.0)],
)
def test_what_is_left_of_the_rate(schedule, halfway, last):
    rates = factors(schedule=schedule, warmup=0.2)
    assert rates[60] == pytest.approx(halfway)
    assert rates[-1] == pytest.approx(last)
