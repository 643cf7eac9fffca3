from dataclasses import replace
from statistics import fmean

import optuna
import pytest
from fake_executor import ObedientExecutor, complete

from mapsearch import search
from mapsearch.controller import proposals as controller
from mapsearch.controller.preparation import reopen_failed_runs
from mapsearch.controller.proposals import try_proposals
from mapsearch.core.errors import DatabaseAway, StudyFailed
from mapsearch.core.recipe import Recipe
from mapsearch.core.runs import RunResult
from mapsearch.core.trials import PROPOSALS, Trial
from mapsearch.executors.scheduler import Scheduler
from mapsearch.proposers.random_search import propose_random
from mapsearch.store.handle import StudyHandle

LOGITS = Recipe(output_weight=1.0, temperature=2.0)


def proposals(context):
    return [t for t in context.trials if t.proposer in PROPOSALS]


def recipes(context):
    return [(t.number, t.proposer, t.recipe, t.params, t.value) for t in proposals(context)]


def cohorts_of_proposals(context):
    numbers = {t.number for t in proposals(context)}
    return [(slot, trials) for slot, trials in context.scheduler.executor.log if numbers & set(trials)]


def run(context):
    return list(try_proposals(context, LOGITS))


def test_one_worker_gets_whole_batches_each_made_when_all_before_is_known(with_controls):
    context = with_controls()
    run(context)
    first = proposals(context)[0].number
    sizes = [len(trials) for _, trials in cohorts_of_proposals(context)]
    assert sum(sizes) == len([t for t in proposals(context) if t.recipe.mapping.pairs])
    assert max(sizes) <= 4
    assert [t.number for t in proposals(context)] == list(range(first, first + 12))


def test_the_trials_are_read_at_the_start_however_many_are_proposed(with_controls, monkeypatch):
    context = with_controls(n_workers=2)
    read, n_reads = StudyHandle.trials, []
    monkeypatch.setattr(StudyHandle, "trials", lambda study: n_reads.append(1) or read(study))
    run(context)
    assert len(n_reads) == 2, "for the sampler, and for how far the study is"


def test_a_fast_worker_never_waits_for_a_slow_one(with_controls):
    context = with_controls(n_workers=2, slow=(1,))
    run(context)
    slots = [slot for slot, _ in cohorts_of_proposals(context)]
    assert slots.count(1) == 1, "the slow worker was at its first share until nothing else was left"
    assert slots.count(0) >= 5
    assert len(proposals(context)) == 12
    assert all(t.state == "complete" for t in proposals(context) if t.recipe.mapping.pairs)


def test_what_others_train_is_known_to_the_proposer(with_controls, monkeypatch):
    context, seen = with_controls(n_workers=2, slow=(1,)), []

    def propose(problem, trials, number):
        seen.append([t.state for t in trials].count("waiting"))
        return propose_random(problem, trials, number)

    monkeypatch.setattr(controller, "PROPOSERS", {"model": propose})
    run(context)
    assert max(seen) >= 2, "the slow worker's share was in flight while others were asked for"
    recorded = optuna.load_study(study_name="tiny", storage=context.study.url).trials
    assert {t.user_attrs["trial"] for t in recorded} >= {t.number for t in proposals(context) if t.recipe.mapping.pairs}


def test_what_was_measured_on_test_data_is_kept_from_the_proposer_when_a_study_searches_on(with_controls, monkeypatch):
    context, seen = with_controls(), set()

    def propose(problem, trials, number):
        seen.update(t.number for t in trials)
        return propose_random(problem, trials, number)

    number = len(context.trials)
    nominee = next(t for t in context.trials if t.control == "last")
    recipe = replace(nominee.recipe, feature_share=0.7)
    context.study.add_trials([Trial(number, "matched", recipe, control="last")])
    context.study.finish_trial(number, "complete", 0.99)
    monkeypatch.setattr(controller, "PROPOSERS", {"model": propose})
    run(context)
    assert number not in seen
    recorded = optuna.load_study(study_name="tiny", storage=context.study.url).trials
    assert number not in {t.user_attrs["trial"] for t in recorded}
    assert search.incumbent(context.trials, "maximize").number != number


def test_the_same_history_gives_the_same_proposals_wherever_the_study_was_cut(with_controls, open_context):
    whole = with_controls(name="whole")
    run(whole)
    cut = with_controls(name="cut")
    for update in try_proposals(cut, LOGITS):
        if isinstance(update, Trial) and update.number >= proposals(cut)[0].number + 5:
            break
    assert any(t.state == "waiting" for t in proposals(cut))
    cut.study.release_runs()
    run(replace(cut, scheduler=with_controls(name="other").scheduler))  # without what the first had in hand
    assert recipes(cut) == recipes(whole)


def test_a_search_that_stops_has_recorded_all_that_ended(with_controls):
    context = with_controls()
    updates = try_proposals(context, LOGITS)
    next(t for t in updates if isinstance(t, Trial) and t.number >= proposals(context)[0].number + 5)
    updates.close()
    assert context.study.untold() == []
    recorded = optuna.load_study(study_name="tiny", storage=context.study.url).trials
    ended = [t for t in proposals(context) if t.state == "complete"]
    assert len(ended) >= 5
    assert {(t.sampler_number, t.value) for t in ended} <= {(t.number, t.value) for t in recorded}


def test_a_search_stops_though_its_database_is_away(with_controls, monkeypatch):
    context = with_controls()
    updates = try_proposals(context, LOGITS)
    next(t for t in updates if isinstance(t, Trial) and t.number >= proposals(context)[0].number)

    def away(study):
        raise DatabaseAway("the study database is away")

    monkeypatch.setattr(StudyHandle, "untold", away)
    with pytest.raises(KeyboardInterrupt):
        updates.throw(KeyboardInterrupt())


def test_a_search_in_which_no_proposal_came_through_fails_and_is_done_again(with_controls):
    def explode(plan):
        result = complete(plan)
        return RunResult(result.key, "diverged", error="term `nmse` is inf at step 3", attempt=result.attempt)

    context = with_controls()
    executor = context.scheduler.executor
    executor.outcome = explode
    with pytest.raises(StudyFailed, match=r"search: .* \d+ diverged: term"):
        run(context)
    redo = search.runs_to_redo(context.trials, context.runs)
    numbers = {t.number for t in proposals(context) if t.recipe.mapping.pairs}
    assert {key[0] for key in redo} == numbers
    assert reopen_failed_runs(context.study) == len(redo)
    executor.outcome = complete
    run(context)
    again = [t for t in proposals(context) if t.number in numbers]
    assert {t.state for t in again} == {"complete"}
    told = optuna.load_study(study_name="tiny", storage=context.study.url).trials
    assert {told[t.sampler_number].value for t in again} == {t.value for t in again}


def test_a_search_whose_first_batch_crashes_is_not_gone_on_with(with_controls):
    context = with_controls()
    context.scheduler.executor.outcome = lambda plan: RunResult(plan.key, "crashed", error="KeyError: 'x'")
    with pytest.raises(StudyFailed, match="4 crashed: KeyError"):
        run(context)
    assert len(proposals(context)) <= 8


def test_a_trial_whose_crashed_run_is_tried_again_gets_its_value_from_all_of_its_runs(with_controls):
    def crashing(plan):
        if plan.seed == 1 and plan.trial % 2:
            return RunResult(plan.key, "crashed", error="out of disk", attempt=plan.attempt)
        return complete(plan)

    context = with_controls(outcome=crashing, seeds=2)
    half = next(x for x in try_proposals(context, LOGITS) if isinstance(x, Trial) and x.number % 2)
    context.study.plan_runs(
        [replace(search.proposal_plans(context.spec, [half])[0], seed=7)]
    )  # the stage was cut short
    assert reopen_failed_runs(context.study) > 0
    again = replace(context, scheduler=Scheduler(ObedientExecutor(1, (), complete), context.spec.execution))
    run(again)
    trial = again.trials[half.number]
    own = [run for run in again.runs if run.trial == trial.number and run.stage == "search" and run.seed < 2]
    assert {run.state for run in own} == {"complete"}
    assert trial.value == fmean(run.value for run in own) != half.value
    told = optuna.load_study(study_name="tiny", storage=again.study.url).trials
    assert [t.value for t in told if t.user_attrs.get("trial") == trial.number][-1] == trial.value
