from dataclasses import replace

import pytest
from fake_executor import complete

from mapsearch.controller import stages
from mapsearch.core.errors import StudyFailed
from mapsearch.core.runs import RunResult


def test_a_confirm_stage_in_which_neither_nominee_nor_any_control_came_through_fails(with_controls):
    context = with_controls()
    confirm = context.spec.confirm.model_copy(update={"finalists": 2})
    context = replace(context, spec=context.spec.model_copy(update={"confirm": confirm}))
    for _ in stages.shortlist(context):
        pass
    first, second = [t.number for t in context.trials if t.recipe.mapping.pairs][:2]
    context.study.record_facts(replace(context.study.facts(), finalists=(first, second)))

    def only_the_second(plan):
        if plan.trial == second:
            return complete(plan)
        return RunResult(plan.key, "crashed", error="RuntimeError: the tape is full", attempt=plan.attempt)

    context.scheduler.executor.outcome = only_the_second
    with pytest.raises(StudyFailed, match=r"stage confirm: .* \d+ crashed: .*the tape"):
        list(stages.confirm(context))
    assert any(run.stage == "confirm" and run.state == "complete" for run in context.runs)
