import pytest
from fake_executor import FakeExecutor, complete

from mapsearch import search
from mapsearch.controller.stage_runs import Runner, run_plans
from mapsearch.core.errors import DatabaseAway
from mapsearch.core.recipe import Recipe
from mapsearch.core.runs import RunResult
from mapsearch.core.trials import Trial
from mapsearch.store.handle import StudyHandle

TRIALS = [Trial(number, "tune", Recipe(output_weight=float(number + 1))) for number in range(3)]


def begin(context):
    """The runner with one run per trial and seed wanted, and the plans."""
    context.study.add_trials(TRIALS)
    plans = search.plan(context.spec, TRIALS, search.TUNE, (0, 1), "tune")
    runner = Runner(context)
    return runner, plans


def test_a_trial_is_closed_when_its_last_run_ends_and_not_before(open_context):
    context = open_context()
    runner, plans = begin(context)
    assert list(runner.submit(TRIALS, plans)) == []
    updates = []
    while not runner.is_done:
        updates += runner.updates()
    assert [t.number for t in updates if isinstance(t, Trial)] == [0, 1, 2]
    assert [run.attempt for run in context.runs] == [1] * 6
    assert [t.state for t in context.trials] == ["complete"] * 3


def test_what_is_done_is_not_trained_again_and_closes_its_trial(open_context):
    context = open_context()
    _, plans = begin(context)
    done = plans[:4]  # of the second seed, only the first trial's
    context.study.plan_runs(plans)
    context.study.start_runs(done, "w0")
    for plan in done:
        context.study.finish_run(complete(plan), 0.25)
    updates = list(run_plans(context, TRIALS, plans))
    assert [t.number for t in updates if isinstance(t, Trial)] == [0, 1, 2]
    assert updates[0].value == 0.25
    assert {run.key: run.attempt for run in context.runs} == {plan.key: 1 for plan in plans}
    assert context.scheduler.executor.log == [(0, (1, 2))]


def test_a_run_that_was_cut_off_is_begun_again_with_the_next_attempt(open_context):
    context = open_context()
    _, plans = begin(context)
    context.study.plan_runs(plans)
    context.study.start_runs(plans[:1], "w0")
    context.study.release_runs()
    list(run_plans(context, TRIALS, plans))
    assert [run.attempt for run in context.runs] == [2, 1, 1, 1, 1, 1]


def test_a_late_result_of_a_lost_attempt_is_not_taken_for_the_new_ones(open_context):
    context = open_context()
    runner, plans = begin(context)
    executor = context.scheduler.executor
    list(runner.submit(TRIALS[:1], plans[:1]))
    executor.poll = FakeExecutor.poll.__get__(executor)  # it finishes nothing by itself
    for _ in range(2):
        list(runner.updates())
    executor.die(0)
    for _ in range(4):
        list(runner.updates())
    late, new = (RunResult(plans[0].key, "complete", {"accuracy": x}, attempt=n) for n, x in ((1, 0.111), (2, 0.999)))
    executor.say(0, late)
    list(runner.updates())
    assert context.runs[0].state == "running"
    executor.say(0, new)
    list(runner.updates())
    assert (context.runs[0].attempt, context.runs[0].value) == (2, 0.999)


def test_new_trials_whose_runs_cannot_be_planned_are_not_there_and_not_trained(open_context, monkeypatch):
    context = open_context()
    plans = search.plan(context.spec, TRIALS, search.TUNE, (0,), "tune")

    def away(study, plans):
        raise DatabaseAway("the study database is away")

    monkeypatch.setattr(StudyHandle, "plan_runs", away)
    with pytest.raises(DatabaseAway, match="away"):
        list(Runner(context).submit(TRIALS, plans, are_new=True))
    assert (context.trials, context.scheduler.held) == ([], set())
