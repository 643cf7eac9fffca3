from search_samples import mapped

from mapsearch import search
from mapsearch.core.recipe import Recipe
from mapsearch.core.runs import Run
from mapsearch.core.trials import Trial


def ended(trial, stage, state, rung=0):
    return Run(trial, rung, 0, stage, "valid", 10, state, 1, None, None)


def test_runs_of_a_stage_in_which_none_came_through_are_done_again():
    trials = [Trial(0, "tune", Recipe()), Trial(1, "control", mapped(), "uniform"), Trial(2, "curve", mapped())]
    runs = [ended(0, "tune", "complete", 1), ended(1, "search", "complete"), ended(2, "search", "diverged")]
    assert search.runs_to_redo(trials, runs) == [(2, 0, 0)]
    assert search.runs_to_redo(trials, [*runs[:2], ended(2, "search", "complete")]) == []
    assert search.runs_to_redo(trials, [ended(1, "search", "oom"), ended(1, "noise", "crashed", 1)]) == [
        (1, 0, 0),
        (1, 1, 0),
    ]


def test_crashed_runs_are_done_again_where_a_stage_was_cut_short_and_stay_as_judged_where_it_was_not():
    trials = [Trial(n, "tune", Recipe()) for n in range(3)]
    runs = [ended(0, "tune", "complete"), ended(1, "tune", "crashed")]
    assert search.runs_to_redo(trials, runs) == []
    assert search.runs_to_redo(trials, [*runs, ended(2, "tune", "waiting")]) == [(1, 0, 0)]


def test_a_run_that_is_done_again_decides_its_trial_anew_where_the_trial_was_closed_by_it():
    trials = [Trial(0, "tune", Recipe()), Trial(1, "curve", mapped()), Trial(2, "matched", mapped(), "uniform")]
    runs = [ended(0, "tune", "crashed"), ended(1, "search", "complete"), ended(1, "shortlist", "crashed", 1)]
    runs += [ended(2, "confirm", "crashed", 2), Run(1, 0, 1, "search", "valid", 10, "crashed", 1, None, None)]
    assert search.trials_to_redo(trials, runs, [(0, 0, 0), (1, 0, 1), (2, 2, 0)]) == {0, 1, 2}
    assert search.trials_to_redo(trials, runs, [(1, 1, 0)]) == set(), "its value is that of the search"
