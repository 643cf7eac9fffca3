"""Quality against cost: what ties with the best, and what is too bad for the scale."""

import pytest

from mapsearch.report.html.quality_cost import BOTTOM, quality_cost


def test_the_best_ties_with_what_is_within_the_margin(study):
    chart = quality_cost(study())
    assert {p.name: p.ties for p in chart.points} == {"outputs": True, "trial 3": True, "last": True, "none": False}
    assert [p.kind for p in chart.points] == ["recommended", "nominee", "control", "control"]


def test_what_is_far_below_stands_at_the_lower_edge_and_is_named(study):
    none = quality_cost(study()).points[-1]
    assert (none.name, none.below, none.y) == ("none", True, BOTTOM)
    assert none.trial in quality_cost(study()).labelled


def test_better_is_higher_also_where_less_is_better(study):
    points = quality_cost(study(direction="minimize")).points
    assert points[0].name == "none"
    assert points[0].y < points[-1].y


@pytest.mark.parametrize("change", [{"verdict": None}, {}])
def test_the_band_is_the_verdicts_margin(study, change):
    assert (quality_cost(study(**change)).band is None) == ("verdict" in change)


def test_nothing_is_drawn_of_one_recipe(study):
    assert quality_cost(study(trials=study().trials[:1])) is None
