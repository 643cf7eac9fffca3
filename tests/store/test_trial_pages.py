"""Trials page by page and one by one, on both databases."""

import pytest

from mapsearch.core.errors import StudyNotFound
from mapsearch.core.recipe import Recipe
from mapsearch.core.runs import RunPlan, RunResult
from mapsearch.core.trials import Trial

SPEC = {"name": "digits", "metric": "accuracy", "direction": "maximize", "train": {"steps": 20}}
VALUES = {0: 0.5, 1: None, 2: 0.9, 3: 0.7}


@pytest.fixture
def filled(store, study, rewrite):
    """Four trials: two of them confirmed, on one seed and on two."""
    rewrite(spec=SPEC)
    study.add_trials([Trial(n, "curve" if n else "control", Recipe(), "" if n else "none") for n in VALUES])
    for number, value in VALUES.items():
        study.finish_trial(number, "infeasible" if value is None else "complete", value)
    for trial, seed, value in ((0, 7, 0.8), (3, 7, 0.6), (3, 8, 0.6)):
        plan = RunPlan(trial, Recipe(), 2, seed, "confirm", "test", 20)
        study.plan_runs([plan])
        study.start_runs([plan], "1@host")
        study.finish_run(RunResult(plan.key, "complete", {"accuracy": value}, seconds=2.0), value)
    return store


def numbers(store, **asked):
    listed = store.trial_list("digits", **{"kind": "", "order": "number", "offset": 0, "limit": 10, **asked})
    return [trial.number for trial in listed.trials], listed.n_fitting


@pytest.mark.parametrize(
    ("order", "expected"), [("number", [0, 1, 2, 3]), ("value", [2, 3, 0, 1]), ("confirmed", [0, 3, 1, 2])]
)
def test_orders(filled, order, expected):
    assert numbers(filled, order=order) == (expected, 4)


def test_less_is_better_where_it_is(filled, rewrite):
    rewrite(spec={**SPEC, "direction": "minimize"})
    assert numbers(filled, order="value") == ([0, 3, 2, 1], 4)


def test_pages_and_kinds(filled):
    assert numbers(filled, offset=1, limit=2) == ([1, 2], 4)
    assert numbers(filled, kind="curve") == ([1, 2, 3], 3)
    assert numbers(filled, kind="none") == ([0], 1)
    assert numbers(filled, offset=50) == ([], 4)


def test_a_trial_has_its_runs_and_their_attempts(filled):
    found = filled.trial("digits", 3)
    assert found.trial.confirmed == (0.6, 0.6)
    assert [run.seed for run in found.runs] == [7, 8]
    assert [(attempt.seed, attempt.worker, attempt.state) for attempt in found.attempts] == [
        (7, "1@host", "complete"),
        (8, "1@host", "complete"),
    ]


def test_a_trial_that_is_not_there(filled):
    with pytest.raises(StudyNotFound, match=r"no trial 9.*0 to 3"):
        filled.trial("digits", 9)
