"""The forest plot: intervals around the margin, seeds, and what lies beyond the scale."""

from dataclasses import replace

import pytest

from mapsearch.report.html.forest import forest, seed_differences


def test_the_margin_is_a_third_of_each_side(study):
    drawn = forest(study().verdict, study())
    assert drawn.band == (33.33, 66.67)
    assert drawn.zero == 50


def test_a_tie_lies_on_the_scale_with_its_seeds_and_a_large_gain_beyond(study):
    none, outputs, uniform = forest(study().verdict, study()).questions
    assert none.beyond == "better"
    assert (none.x_low, none.x_high) == (100, 100)
    assert outputs.beyond == ""
    assert outputs.x_low < outputs.x < outputs.x_high
    assert len(outputs.seeds) == 4
    assert outputs.overhead == 1.0
    assert uniform.why_not
    assert uniform.x is None


def test_context_has_a_mean_and_no_interval(study):
    (last,) = forest(study().verdict, study()).context
    assert (last.control, last.outcome, last.low, last.overhead) == ("last", None, None, 1.4)
    assert 50 < last.x < 66.67


def test_without_a_margin_the_widest_interval_sets_the_scale(study, verdict):
    drawn = forest(verdict(margin=None), study())
    assert drawn.band is None
    assert not any(row.beyond for row in drawn.questions)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_seeds_are_paired_and_turned_to_gains(study, sign):
    trials = {trial.number: trial for trial in study().trials}
    nominee, outputs = trials[3], trials[1]
    gains = seed_differences(nominee, outputs, sign, 3)
    assert gains == pytest.approx({1000: 0.0, 1001: sign * -0.01, 1002: sign * 0.01})
    assert seed_differences(None, outputs, sign, 3) == {}


def test_outputs_may_be_the_subject(study, verdict):
    none, outputs, uniform = verdict().questions
    alone = replace(none, subject="outputs")
    drawn = forest(verdict(questions=(none, outputs, uniform, alone)), study())
    assert "outputs alone" in drawn.questions[-1].title
