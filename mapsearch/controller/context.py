"""The context: runs that are wanted go in, the missing ones are trained, and all that happens is written down."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from mapsearch import search
from mapsearch.controller.interrupt import Interrupt
from mapsearch.core.errors import StudyFailed
from mapsearch.core.events import Event, Message, Progress, RunsLost, RunsStarted
from mapsearch.core.metrics import judged_by
from mapsearch.core.runs import FINISHED, Run, RunPlan, RunResult
from mapsearch.core.similarity import Similarity
from mapsearch.core.space import RecipeSpace
from mapsearch.core.spec import StudySpec
from mapsearch.core.trials import Trial
from mapsearch.core.verdict import Verdict
from mapsearch.executors.scheduler import Scheduler
from mapsearch.store.handle import StudyHandle

Update = Message | Progress | Trial | Verdict
"""What the loop tells whoever iterates it."""


@dataclass(frozen=True)
class StudyContext:
    """What every stage works with."""

    study: StudyHandle
    spec: StudySpec
    space: RecipeSpace
    similarity: Similarity
    scheduler: Scheduler
    interrupt: Interrupt

    @property
    def trials(self) -> list[Trial]:
        """All trials of the study, by number."""
        return self.study.trials()

    @property
    def runs(self) -> list[Run]:
        """All runs of the study, done or not."""
        return self.study.runs()


def train(
    context: StudyContext, trials: Sequence[Trial], wanted: Sequence[RunPlan], extra: Sequence[RunPlan] = ()
) -> Iterator[Update]:
    """Do the runs that are not done yet, then close the waiting trials with the runs wanted of them."""
    plans = list({plan.key: plan for plan in (*extra, *wanted)}.values())
    context.study.plan_runs(plans)
    known = {run.key: run for run in context.runs}
    missing = [plan for plan in plans if known[plan.key].state not in FINISHED]
    yield from _execute(context, [replace(plan, attempt=known[plan.key].attempt + 1) for plan in missing])
    runs = context.runs
    keys = {plan.key for plan in plans}
    failed = [run for run in runs if run.key in keys and run.state == "crashed"]
    if plans and len(failed) == len(plans):
        error = failed[0].result.error if failed[0].result else ""
        raise StudyFailed(f"stage {plans[0].stage}: all {len(plans)} runs failed; the first: {error}")
    for trial in trials:
        if trial.state == "waiting":
            state, value = search.outcome(trial, runs, wanted)
            context.study.finish_trial(trial.number, state, value)
            yield replace(trial, state=state, value=value)


def _execute(context: StudyContext, plans: Sequence[RunPlan]) -> Iterator[Update]:
    """Train the plans and write down what happens."""
    scheduler = context.scheduler
    scheduler.submit(search.cohorts(plans, scheduler.n_workers, context.spec.execution.cohort))
    while not scheduler.is_done:
        for event in scheduler.events():
            yield from _record(context, event)
        context.interrupt.raise_if_asked()


def _record(context: StudyContext, event: Event) -> Iterator[Update]:
    study, metric = context.study, context.spec.metric
    if isinstance(event, RunsStarted):
        study.start_runs(event.plans, event.worker)
    elif isinstance(event, RunResult):
        result = judged_by(event, metric)
        study.finish_run(result, result.metrics[metric] if result.state == "complete" else None)
        if result.error:
            yield Message(result.state, f"trial {result.key[0]}, seed {result.key[2]}: {result.error}")
    elif isinstance(event, RunsLost):
        runs = ", ".join(f"trial {plan.trial} seed {plan.seed}" for plan in event.plans)
        study.add_event("lost", f"{runs}: {event.error}")
        yield Message("lost", f"{runs}: {event.error}")
    else:
        yield event
