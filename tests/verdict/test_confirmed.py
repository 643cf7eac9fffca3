import pytest

from mapsearch.core.runs import Run
from mapsearch.verdict.confirmed import DIVERGED, confirmed_values, failed_trials, paired


def run(trial, seed, value, state="complete", stage="confirm"):
    return Run(trial, 2, seed, stage, "test", 10, state, 1, value, None)


def test_values_are_in_the_good_direction_and_of_the_confirm_stage_alone():
    runs = [run(0, 0, 0.5), run(0, 1, 0.25), run(0, 2, 0.9, stage="shortlist")]
    assert confirmed_values(runs, "maximize") == {0: {0: 0.5, 1: 0.25}}
    assert confirmed_values(runs, "minimize") == {0: {0: -0.5, 1: -0.25}}


def test_a_run_that_diverged_is_a_result():
    runs = [run(0, 0, 0.5), run(0, 1, 0.2), run(1, 0, None, "diverged")]
    assert confirmed_values(runs, "maximize")[1] == confirmed_values(runs, "minimize")[1] == {0: DIVERGED}
    assert failed_trials(runs) == set()


def test_a_run_that_diverged_has_the_worst_value_of_its_pair_on_these_seeds_and_no_other():
    subject, control = {0: 0.5, 1: DIVERGED, 2: 0.1}, {0: 0.4, 1: 0.6, 2: -9.0}
    assert paired(subject, control, [0, 1]) == ([0.5, 0.4], [0.4, 0.6])
    assert paired({0: DIVERGED}, {0: DIVERGED}, [0]) == ([0.0], [0.0])


@pytest.mark.parametrize("state", ["crashed", "oom", "invalid"])
def test_a_trial_with_another_failure_cannot_be_judged(state):
    assert failed_trials([run(0, 0, 0.5), run(1, 0, None, state)]) == {1}
