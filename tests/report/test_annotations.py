from dataclasses import replace
from typing import get_args

import pytest

from mapsearch.core.similarity import MeasureName
from mapsearch.report.annotations import MEASURE_TITLES, annotate, colour_range


def test_every_measure_has_its_name():
    assert set(MEASURE_TITLES) == set(get_args(MeasureName))


def test_the_assignment_uses_a_teacher_layer_once_where_best_teachers_may_share_one(similarity):
    found = annotate(similarity(2, 2, values=((0.9, 0.5), (0.8, 0.1))))
    assert found.assigned == {(0, 1), (1, 0)}
    assert found.best == {(0, 0), (1, 0)}
    assert not found.noise


def test_a_value_under_the_floor_is_noise_also_when_it_is_negative(similarity):
    found = annotate(similarity(1, 3, values=((0.06, 0.07, -0.3),)))
    assert found.noise == {(0, 0), (0, 2)}


def test_chance_is_not_pointed_out(similarity):
    flat = annotate(similarity(3, 4, height=0))
    assert not flat.best
    assert not flat.assigned
    mute = annotate(similarity(2, 2, values=((0.9, 0.1), (0.5, 0.51))))
    assert mute.best == {(0, 0)}, "a row that is_informative nothing has no best teacher"


def test_colours_span_the_values_but_do_not_stretch_noise(similarity):
    assert colour_range(similarity(1, 2, values=((0.55, 0.95),))) == (0.55, 0.95)
    assert colour_range(similarity(1, 2, values=((0.50, 0.51),))) == pytest.approx((0.48, 0.53))
    wide = replace(similarity(1, 2, values=((0.50, 0.51),)), spread_floor=0.2)
    assert colour_range(wide) == pytest.approx((0.405, 0.605))
