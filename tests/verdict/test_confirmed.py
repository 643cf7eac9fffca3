import pytest

from mapsearch.core.runs import Run
from mapsearch.verdict.confirmed import confirmed_values, failed_trials


def run(trial, seed, value, state="complete", stage="confirm"):
    return Run(trial, 2, seed, stage, "test", 10, state, 1, value, None)


def test_values_are_in_the_good_direction_and_of_the_confirm_stage_alone():
    runs = [run(0, 0, 0.5), run(0, 1, 0.25), run(0, 2, 0.9, stage="shortlist")]
    assert confirmed_values(runs, "maximize") == {0: {0: 0.5, 1: 0.25}}
    assert confirmed_values(runs, "minimize") == {0: {0: -0.5, 1: -0.25}}


def test_a_run_that_diverged_counts_with_the_worst_value_seen():
    runs = [run(0, 0, 0.5), run(0, 1, 0.2), run(1, 0, None, "diverged")]
    assert confirmed_values(runs, "maximize")[1] == {0: 0.2}
    assert confirmed_values(runs, "minimize")[1] == {0: -0.5}
    assert failed_trials(runs) == set()


@pytest.mark.parametrize("state", ["crashed", "oom", "invalid"])
def test_a_trial_with_another_failure_cannot_be_judged(state):
    assert failed_trials([run(0, 0, 0.5), run(1, 0, None, state)]) == {1}
