"""Places and ticks of a chart."""

from hypothesis import given
from hypothesis import strategies as st

from mapsearch.report.html.scales import Scale


def test_the_ends_stand_at_their_places_and_more_may_be_lower():
    scale = Scale(0.9, 1.0, 90, 10)
    assert [scale(value) for value in (0.9, 0.95, 1.0)] == [90, 50, 10]


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6), st.integers(2, 8))
def test_ticks_are_few_ordered_and_inside(low, width, most):
    scale = Scale(low, low + width)
    ticks = scale.ticks(most)
    assert ticks == sorted(ticks)
    assert len(ticks) <= most + 1
    assert all(low - width / 1e6 <= tick <= low + width * (1 + 1e-6) for tick in ticks)


def test_logarithmic_ticks_are_powers_of_ten():
    scale = Scale(0.02, 30, logarithmic=True)
    assert scale.ticks() == [0.1, 1.0, 10.0]
    assert Scale(0.03, 0.6, logarithmic=True).ticks() == [0.05, 0.1, 0.2, 0.5]
    assert len(Scale(1e-9, 1e9, logarithmic=True).ticks(5)) <= 5
    assert scale(0.02) == 0
    assert scale(30) == 100


def test_one_value_has_a_place():
    assert Scale(1.0, 1.0)(1.0) == 0.0
