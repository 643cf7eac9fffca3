import math
from dataclasses import replace

import pytest

from mapsearch.core.mapping import LayerMapping
from mapsearch.core.recipe import Recipe
from mapsearch.core.trials import Trial
from mapsearch.proposers.history import History

RECIPE = Recipe(LayerMapping([("s.0", "t.0", 1.0)]), feature_share=0.5)
WAITING = [Trial(number, "free", RECIPE) for number in (3, 5, 8)]


def test_trials_that_end_in_any_order_are_told_in_their_own():
    history = History([Trial(1, "control", RECIPE, state="complete", value=0.1), *WAITING])
    assert history.waiting == WAITING
    for trial, value in ((WAITING[2], 0.8), (WAITING[0], 0.3)):
        history.put(replace(trial, state="complete", value=value))
    assert history.values == [0.1, 0.3, 0.8]
    assert [history.ended(index).number for index in range(3)] == [1, 3, 8]
    assert history.waiting == [WAITING[1]]
    assert [trial.number for trial in history] == [1, 3, 5, 8]


def test_what_could_not_be_run_has_no_value_and_what_crashed_tells_nothing():
    history = History(WAITING)
    history.put(replace(WAITING[0], state="infeasible"))
    history.put(replace(WAITING[1], state="crashed"))
    assert [math.isnan(value) for value in history.values] == [True]
    assert history.waiting == [WAITING[2]]


def test_without_features_there_is_nothing_to_learn():
    history = History([Trial(0, "tune", Recipe(), state="complete", value=0.5), Trial(1, "tune", Recipe())])
    assert (len(history), history.values, history.waiting) == (2, [], [])


def test_recipes_are_found_by_their_feature_share_whatever_came_of_them():
    other = replace(RECIPE, feature_share=0.25)
    history = History([*WAITING[:2], Trial(9, "free", other, state="crashed")])
    assert history.recipes_of_share(0.25) == [other]
    assert history.recipes_of_share(0.5) == [RECIPE, RECIPE]
    assert not history.recipes_of_share(0.75)


def test_a_history_is_its_own_and_a_list_becomes_one():
    history = History(WAITING)
    assert History.of(history) is history
    assert History.of(WAITING).waiting == WAITING


def test_a_trial_ends_once():
    ended = replace(WAITING[0], state="complete", value=0.3)
    history = History([ended])
    with pytest.raises(AssertionError, match="ends once"):
        history.put(replace(ended, value=0.4))
