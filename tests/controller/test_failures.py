import pytest

from mapsearch.controller.failures import N_CAUSES, causes, raise_if_all_crashed, raise_if_nothing_came_through
from mapsearch.core.errors import StudyFailed
from mapsearch.core.runs import Run, RunResult


def run(number, state, error=""):
    key = (number, 1, 0)
    return Run(*key, "tune", "valid", 10, state, 1, None, RunResult(key, state, error=error))


def test_one_run_that_came_through_is_enough():
    raise_if_nothing_came_through([run(0, "crashed"), run(1, "complete")])
    raise_if_nothing_came_through([])


@pytest.mark.parametrize("states", [("crashed",), ("diverged", "invalid"), ("oom", "crashed", "diverged", "invalid")])
def test_any_mix_of_failures_fails_the_study_and_names_stage_and_number(states):
    with pytest.raises(StudyFailed, match=f"stage tune: none of the {len(states)} runs") as caught:
        raise_if_nothing_came_through([run(number, state) for number, state in enumerate(states)])
    assert caught.value.exit_code == 1


def test_equal_causes_are_counted_together_the_most_frequent_first():
    runs = [run(0, "invalid", "metric `f1` is nan"), *(run(n, "diverged", f"loss is nan at step {n}") for n in (1, 22))]
    assert causes(runs) == "2 diverged: loss is nan at step 1; 1 invalid: metric `f1` is nan"


def test_rare_causes_are_summed_up():
    runs = [run(n, "crashed", f"error {chr(97 + n)}") for n in range(N_CAUSES + 2)]
    assert causes(runs).endswith("; 2 for other reasons")


def test_crashes_alone_end_a_stage_early():
    runs = [run(n, "crashed", "no file") for n in range(3)]
    raise_if_all_crashed(runs, at_least=4)
    raise_if_all_crashed([*runs, run(3, "diverged")], at_least=4)
    with pytest.raises(StudyFailed, match="3 crashed: no file"):
        raise_if_all_crashed(runs, at_least=3)
