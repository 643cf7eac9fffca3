from dataclasses import replace

import pytest
from fake_executor import complete

from mapsearch.controller import stages
from mapsearch.controller.confirmation import confirm
from mapsearch.core.errors import StudyFailed
from mapsearch.core.runs import RunResult


def shortlisted(context):
    updates = stages.shortlist(context)
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
