"""The search history, of any length."""

import pytest

from mapsearch.core.details import TrialValue
from mapsearch.report.html.search_history import MOST_POINTS, search_history


def values(*numbers):
    return [TrialValue(i, "curve", "", value) for i, value in enumerate(numbers)]


@pytest.mark.parametrize(("direction", "best"), [("maximize", [0, 2]), ("minimize", [0, 1])])
def test_the_best_so_far(direction, best):
    history = search_history(values(0.5, 0.4, 0.7, None, 0.6), direction)
    assert [p.number for p in history.points if p.best] == best
    assert [p.number for p in history.points] == [0, 1, 2, 4]
    assert history.line.count(" ") == 3


def test_better_is_higher():
    first, second = search_history(values(0.5, 0.4), "minimize").points
    assert second.y < first.y


def test_a_long_history_is_thinned_and_keeps_what_was_best(details):
    history = search_history(details(10_000).history, "maximize")
    assert len(history.points) <= MOST_POINTS + sum(p.best for p in history.points)
    assert len(history.points) + history.n_thinned == 10_000
    assert max(p.value for p in history.points) == max(t.value for t in details(10_000).history)


def test_a_history_in_which_every_trial_is_the_best_so_far_is_thinned_too():
    history = search_history(values(*(i / 10_000 for i in range(10_000))), "maximize")
    assert len(history.points) <= 2 * MOST_POINTS + 1
    assert history.points[-1].value == max(p.value for p in history.points if p.best)


def test_tuning_is_no_part_of_the_search():
    assert search_history([TrialValue(0, "tune", "", 0.5), *values(0.5)], "maximize") is None
