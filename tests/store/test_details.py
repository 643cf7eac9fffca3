"""What a page reads of a study: the same as whole nouns say, on both databases."""

import pytest

from mapsearch.core.recipe import Recipe
from mapsearch.core.runs import RunPlan, RunResult
from mapsearch.core.trials import Trial

SPEC = {"name": "digits", "metric": "accuracy", "direction": "maximize", "train": {"steps": 20}}


@pytest.fixture
def filled(store, study, rewrite):
    """A study of two trials: one tuned and confirmed, one that diverged in the search."""
    rewrite(spec=SPEC)
    study.add_trials([Trial(0, "tune", Recipe(), "outputs"), Trial(1, "curve", Recipe())])
    for trial, stage, state in ((0, "confirm", "complete"), (0, "tune", "complete"), (1, "search", "diverged")):
        plan = RunPlan(trial, Recipe(), len(stage), 7, stage, "valid", 20)
        study.plan_runs([plan])
        study.start_runs([plan], "1@host")
        value = 0.5 if state == "complete" else None
        study.finish_run(RunResult(plan.key, state, {"accuracy": 0.5}, seconds=2.0), value)
    return store


def test_stages_come_in_their_order_with_what_they_took(filled):
    stages = filled.details("digits", 5).stages
    assert [cost.stage for cost in stages] == ["tune", "search", "confirm"]
    assert [(cost.n_runs, cost.n_complete, cost.n_failed) for cost in stages] == [(1, 1, 0), (1, 0, 1), (1, 1, 0)]
    assert sum(cost.device_seconds for cost in stages) == filled.details("digits", 5).overview.cost.device_seconds
    assert [cost.n_steps for cost in stages] == [20, 0, 20]


def test_the_history_has_every_trial(filled):
    history = filled.details("digits", 0).history
    assert [(trial.number, trial.proposer, trial.control) for trial in history] == [
        (0, "tune", "outputs"),
        (1, "curve", ""),
    ]


def test_a_study_without_runs_has_none_of_it(store, rewrite):
    rewrite(spec=SPEC)
    details = store.details("digits", 5)
    assert (details.history, details.stages) == ((), ())
    assert details.created_at <= details.updated_at
