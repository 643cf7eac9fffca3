import math
from dataclasses import replace

import pytest
from fake_executor import complete

from mapsearch import search
from mapsearch.controller import stages
from mapsearch.controller.confirmation import confirm
from mapsearch.controller.judgement import give_verdict
from mapsearch.controller.nomination import admit
from mapsearch.core.errors import StudyFailed
from mapsearch.core.events import Message
from mapsearch.core.facts import Nomination
from mapsearch.core.runs import RunResult


def shortlisted(context):
    updates = stages.shortlist(context)
    while True:
        try:
            next(updates)
        except StopIteration as end:
            return end.value


def admitted(context, nominee):
    updates = admit(context, nominee)
    while True:
        try:
            next(updates)
        except StopIteration as end:
            return end.value


def test_a_shortlist_is_raced_on_fresh_seeds_and_the_winner_of_the_full_schedule_is_nominated(with_controls):
    context = with_controls()
    confirm_spec = context.spec.confirm.model_copy(update={"finalists": 2})
    context = replace(context, spec=context.spec.model_copy(update={"confirm": confirm_spec}))
    before = {run.seed for run in context.runs}
    nominee = shortlisted(context)
    rounds = [run for run in context.runs if run.stage == "shortlist"]
    assert not before & {run.seed for run in rounds}
    assert {run.split for run in rounds} == {"valid"}
    full = {}
    for run in rounds:
        if run.rung == 2:
            full.setdefault(run.trial, []).append(run.value)
    assert {len(values) for values in full.values()} == {2}
    assert len(full) == 2
    assert nominee.number == max(full, key=lambda number: sum(full[number]))
    assert context.study.facts().finalists[0] == nominee.number
    n_runs = len(context.runs)
    assert shortlisted(context) == nominee
    assert len(context.runs) == n_runs, "decided once"


def test_a_confirm_stage_in_which_no_run_came_through_fails(with_controls):
    context = with_controls()
    nominee = shortlisted(context)

    def crashed(plan):
        return RunResult(plan.key, "crashed", error="RuntimeError: the tape is full", attempt=plan.attempt)

    context.scheduler.executor.outcome = crashed
    with pytest.raises(StudyFailed, match=r"stage confirm: .* \d+ crashed: .*the tape"):
        list(confirm(context, nominee))


def test_a_control_whose_runs_crash_is_left_out_of_the_next_look(with_controls):
    context = with_controls()
    nominee = shortlisted(context)
    outputs = next(t.number for t in context.trials if t.control == "outputs")

    def without_outputs(plan):
        if plan.trial == outputs:
            return RunResult(plan.key, "crashed", error="RuntimeError: the tape is full", attempt=plan.attempt)
        return complete(plan)

    context.scheduler.executor.outcome = without_outputs
    list(confirm(context, nominee))
    counts = {}
    for run in context.runs:
        if run.stage == "confirm":
            counts[run.trial] = counts.get(run.trial, 0) + 1
    assert counts[outputs] == 4
    assert counts[nominee.number] >= 4


def test_a_run_on_fresh_seeds_that_crashes_is_tried_once_more(with_controls):
    context = with_controls()
    nominee = shortlisted(context)
    outputs = next(t.number for t in context.trials if t.control == "outputs")

    def at_first_without_outputs(plan):
        if (plan.trial, plan.attempt) == (outputs, 1):
            return RunResult(plan.key, "crashed", error="OSError: no space left", attempt=plan.attempt)
        return complete(plan)

    context.scheduler.executor.outcome = at_first_without_outputs
    messages = [update.text for update in confirm(context, nominee) if isinstance(update, Message)]
    runs = [run for run in context.runs if run.stage == "confirm"]
    assert {run.state for run in runs} == {"complete"}
    assert {run.attempt for run in runs if run.trial == outputs} == {2}
    assert any("4 runs crashed" in text for text in messages)


def test_one_that_crashed_twice_is_tried_again_when_the_study_is_resumed(with_controls):
    context = with_controls()
    nominee = shortlisted(context)
    outputs = next(t.number for t in context.trials if t.control == "outputs")

    def without_outputs(plan):
        if plan.trial == outputs:
            return RunResult(plan.key, "oom", error="out of memory", attempt=plan.attempt)
        return complete(plan)

    context.scheduler.executor.outcome = without_outputs
    list(confirm(context, nominee))
    assert {(r.state, r.attempt) for r in context.runs if r.stage == "confirm" and r.trial == outputs} == {("oom", 2)}
    context.scheduler.executor.outcome = complete
    list(confirm(context, nominee))
    assert {r.state for r in context.runs if r.stage == "confirm"} == {"complete"}


def test_a_second_nominee_is_admitted_with_what_the_first_left_of_the_error(with_controls):
    context = with_controls()
    first = shortlisted(context)
    context.study.record_facts(replace(context.study.facts(), teacher={"accuracy": 0.9}))
    assert admitted(context, first) == first
    list(confirm(context, first))
    second = next(t for t in context.trials if t.control == "last" and t.proposer == "control")
    assert admitted(context, second) == second
    facts = context.study.facts()
    assert [row.trial for row in facts.nominations] == [first.number, second.number]
    assert facts.error_share == facts.nominations[-1].share < 1
    assert give_verdict(context, second, None).error_share == facts.error_share
    context.study.record_facts(replace(facts, nominations=(*facts.nominations, Nomination(1, 1.0, 100))))
    assert admitted(context, first) is None, "nothing is left"
    verdict = give_verdict(context, None, None)
    assert "give it a new `name`" in " ".join(verdict.warnings)


def test_outputs_are_trained_for_the_nominees_time_beside_it_and_decided_on_once(with_controls):
    def timed(plan):
        seconds = 1.3 if plan.recipe.mapping.pairs else 1.0
        return replace(complete(plan), seconds=seconds * plan.n_steps)

    context = with_controls(outcome=timed)
    nominee = shortlisted(context)
    list(confirm(context, nominee))
    longer = [t for t in context.trials if t.control == "outputs_equal_time"]
    n_steps = {run.n_steps for run in context.runs if run.trial == longer[0].number}
    assert len(longer) == 1
    assert n_steps == {math.ceil(12 * 1.3)}
    n_runs = len(context.runs)
    list(confirm(context, nominee))
    assert len(context.runs) == n_runs


def test_context_is_trained_as_far_as_the_budget_pays(with_controls):
    context = with_controls()
    nominee = shortlisted(context)
    spent = search.spent(context.spec, context.runs)
    three_controls = context.spec.model_copy(update={"budget": math.ceil(spent + 4 * 3) + 3 * 2})
    context = replace(context, spec=three_controls)
    (told,) = [m.text for m in confirm(context, nominee) if isinstance(m, Message) and "does not pay" in m.text]
    trained = {context.trials[run.trial].control for run in context.runs if run.stage == "confirm"}
    context_rows = trained - {"", "none", "outputs"} - {context.trials[nominee.number].control}
    assert 1 <= len(context_rows) <= 3
    assert all(f"`{name}`" not in told for name in context_rows)
    assert search.spent(context.spec, context.runs) <= context.spec.budget


@pytest.mark.parametrize("overhead", [1.0, 1.3, 9.0])
def test_which_controls_are_context_does_not_follow_the_clock(with_controls, overhead):
    def timed(plan):
        return replace(complete(plan), seconds=plan.n_steps * (overhead if plan.recipe.mapping.pairs else 1.0))

    context = with_controls(outcome=timed)
    nominee = shortlisted(context)
    spent = search.spent(context.spec, context.runs)
    three_controls = context.spec.model_copy(update={"budget": math.ceil(spent + 4 * 3) + 3 * 2})
    context = replace(context, spec=three_controls)
    list(confirm(context, nominee))
    numbers = {run.trial for run in context.runs if run.stage == "confirm"}
    others = {context.trials[n].control for n in numbers} - {"", "none", "outputs", "outputs_equal_time"}
    assert sorted(others - {context.trials[nominee.number].control}) == ["no_projector", "placebo"]
    list(confirm(context, nominee))
    assert numbers == {run.trial for run in context.runs if run.stage == "confirm"}
