"""Numbers as people read them."""

import pytest

from mapsearch.report.html.numbers import counted, duration, multiple, percent, unit_of

MINUS = "\N{MINUS SIGN}"


def test_fractions_are_told_in_per_cent_and_their_gains_in_points():
    unit = unit_of("accuracy", [0.85, 0.97], 0.01)
    assert unit.value(0.9762) == "97.62 %"
    assert unit.gain(-0.0021) == f"{MINUS}0.21"
    assert unit.size(0.01) == "1.00 points"
    assert unit.interval(-0.011, 0.007) == f"{MINUS}1.10 to +0.70"


@pytest.mark.parametrize(("metric", "values"), [("loss", [0.2, 0.4]), ("accuracy", [85.0, 97.0]), ("accuracy", [])])
def test_everything_else_is_told_as_it_is(metric, values):
    unit = unit_of(metric, values, 0.002)
    assert unit.value(0.41258) == "0.4126"
    assert unit.gain_name == metric


def test_zero_has_no_sign():
    unit = unit_of("accuracy", [0.5], 0.01)
    assert unit.gain(0.0) == unit.gain(-1e-9) == "0.00"


@pytest.mark.parametrize(("margin", "decimals"), [(None, 2), (30.0, 0), (1.0, 2), (1e-30, 6)])
def test_two_digits_of_the_margin_are_shown(margin, decimals):
    assert unit_of("loss", [100.0], margin).decimals == decimals


def test_durations_parts_and_counts():
    assert [duration(s) for s in (42.4, 420, 7200)] == ["42 s", "7 min", "2.0 h"]
    assert [percent(part) for part in (0.0, 0.038, 0.41)] == ["0 %", "3.8 %", "41 %"]
    assert counted(1, "seed"), counted(1200, "trial") == ("1 seed", "1,200 trials")
    assert multiple(1.486) == "1.49\N{MULTIPLICATION SIGN}"
