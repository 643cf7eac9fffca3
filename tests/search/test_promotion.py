from dataclasses import replace

import pytest
from search_samples import LOGITS, mapped, run, trial

from mapsearch import search
from mapsearch.core.runs import RunPlan
from mapsearch.core.trials import Trial


@pytest.mark.parametrize(
    ("runs", "expected"),
    [
        ([run(1, 0, 0.4), run(1, 1, 0.6)], ("complete", 0.5)),
        ([run(1, 0, 0.4), run(1, 1, state="crashed")], ("complete", 0.4)),
        ([run(1, 0, 0.4), run(1, 1, state="diverged")], ("infeasible", None)),
        ([run(1, 0, state="oom")], ("infeasible", None)),
        ([run(1, 0, state="crashed"), run(1, 1, state="crashed")], ("crashed", None)),
        ([run(1, 0, 0.4), run(1, 5, 0.9), run(2, 0, 0.9), run(1, 0, 0.9, rung=1)], ("complete", 0.4)),
    ],
)
def test_a_trial_is_the_mean_of_the_runs_it_was_given(runs, expected):
    wanted = [RunPlan(1, mapped(), 0, seed, "search", "valid", 10) for seed in (0, 1)]
    assert search.outcome(Trial(1, "curve", mapped()), runs, wanted) == expected


def test_by_seed_holds_complete_runs_of_the_rung():
    runs = [run(1, 0, 0.4), run(1, 1, 0.5), run(2, 0, state="oom"), run(3, 0, 0.6, rung=1)]
    assert search.by_seed(runs, search.SEARCH) == {1: {0: 0.4, 1: 0.5}}


def test_noise_is_measured_on_hand_made_mappings():
    trials = [
        replace(trial(1, 0.1, control="uniform"), proposer="control"),
        replace(trial(2, 0.1, control="article"), proposer="control"),
        trial(3, 0.1),
        replace(trial(4, 0.1, control="last"), proposer="control"),
    ]
    trials.append(replace(trials[0], number=5, control="first"))  # the same recipe once more is no second mapping
    assert search.noise_table(trials, [run(1), run(2), run(3), run(5)]) == {1: {0: 0.5}}


@pytest.mark.parametrize(("n", "kept"), [(2, 2), (8, 3), (20, 5), (40, 8)])
def test_the_shortlist_is_the_best_quarter_with_features_and_no_more_than_eight(n, kept):
    trials = [trial(i, i / 100) for i in range(n)] + [trial(90, 0.99, LOGITS), trial(91, None)]
    assert [t.number for t in search.shortlist(trials, "maximize")] == list(range(n - 1, n - 1 - kept, -1))
    assert [t.number for t in search.shortlist(trials, "minimize")] == list(range(kept))


def test_half_of_the_shortlist_is_the_best_at_other_learning_rates():
    """Short runs at a high rate are ahead by far; the schedule is not short."""
    trials = [
        replace(t, recipe=replace(t.recipe, lr_factor=3.0 if t.number > 10 else 0.3 if t.number < 3 else 1.0))
        for t in (trial(i, i / 100) for i in range(32))
    ]
    assert [t.number for t in search.shortlist(trials, "maximize")] == [31, 30, 29, 28, 10, 2, 27, 26]
    assert [t.number for t in search.shortlist(trials[11:], "maximize")] == [31, 30, 29, 28, 27, 26]
    assert [t.number for t in search.shortlist(trials[5:14], "maximize")] == [13, 12, 10]


def test_uniform_races_wherever_the_search_ranked_it():
    trials = [trial(i, i / 100) for i in range(31)] + [trial(31, 0.0, control="uniform")]
    assert [t.number for t in search.shortlist(trials, "maximize")] == [30, 29, 28, 27, 31, 26, 25, 24]
    assert [t.number for t in search.shortlist(trials, "minimize")] == [0, 31, 1, 2, 3, 4, 5, 6]


def test_a_round_is_won_by_the_best_mean_over_its_runs():
    trials = [trial(i, 0.1) for i in range(4)]
    runs = [run(i, seed, value, rung=search.TUNE) for i, value in ((0, 0.3), (1, 0.9), (2, 0.6)) for seed in (500, 501)]
    runs += [run(3, 0, 1.0, rung=search.TUNE)]
    keys = {(search.TUNE, 500), (search.TUNE, 501)}
    assert [t.number for t in search.best_of_round(trials, runs, keys, 2, "maximize")] == [1, 2]
    assert [t.number for t in search.best_of_round(trials, runs, keys, 9, "minimize")] == [0, 2, 1]
    assert search.best_of_round(trials, [], keys, 3, "maximize") == []


@pytest.mark.parametrize(("n", "finalists", "left"), [(8, 3, 4), (3, 3, 3), (8, 6, 6), (1, 3, 3)])
def test_half_of_the_shortlist_runs_again_and_no_fewer_than_the_finalists(n, finalists, left):
    assert search.n_raced(n, finalists) == left


def test_the_incumbent_is_the_best_recipe_whose_settings_are_sampled():
    trials = [
        trial(1, 0.6),
        trial(2, 0.7),
        trial(3, 0.7),
        trial(4, 0.8, LOGITS),
        trial(5, 0.9, control="article"),
        trial(6, None),
    ]
    assert search.incumbent(trials, "maximize").number == 2
    assert search.incumbent(trials, "minimize").number == 1
    assert search.incumbent([], "maximize") is None


def test_a_recipe_that_failed_on_one_seed_is_out():
    trials = [trial(1, 0.1), trial(2, 0.1)]
    runs = [run(1, 0, 0.95, rung=search.TUNE), run(1, 1, rung=search.TUNE, state="diverged")]
    runs += [run(2, seed, 0.9, rung=search.TUNE) for seed in (0, 1)]
    keys = {(search.TUNE, 0), (search.TUNE, 1)}
    assert [t.number for t in search.best_of_round(trials, runs, keys, 2, "maximize")] == [2]


def test_of_equal_values_a_proposal_goes_before_a_control_and_equal_recipes_count_once():
    control = replace(trial(1, 0.5, control="uniform"), proposer="control")
    twin = replace(trial(2, 0.5), recipe=control.recipe)
    assert [t.number for t in search.shortlist([control, twin, trial(3, 0.5)], "maximize")] == [2, 3]
