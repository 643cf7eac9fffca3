"""The desk: runs that are wanted go in, the missing ones are trained, and all that happens is written down."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from mapsearch import search
from mapsearch.core.errors import StudyFailed
from mapsearch.core.records import (
    FINISHED,
    Cohort,
    Lost,
    Note,
    Progress,
    Run,
    RunKey,
    RunPlan,
    RunResult,
    Started,
    Trial,
    Verdict,
)
from mapsearch.core.similarity import Similarity
from mapsearch.core.space import RecipeSpace
from mapsearch.core.spec import StudySpec
from mapsearch.executors.inline import InlineExecutor
from mapsearch.executors.local import LocalExecutor
from mapsearch.interrupt import Interrupt
from mapsearch.store.store import Store

RENEW_SECONDS = 10.0

News = Note | Progress | Trial | Verdict
"""What the loop tells whoever iterates it."""


@dataclass(frozen=True)
class Desk:
    """What every stage works with."""

    store: Store
    spec: StudySpec
    space: RecipeSpace
    similarity: Similarity
    executor: InlineExecutor | LocalExecutor
    interrupt: Interrupt

    @property
    def trials(self) -> list[Trial]:
        """All trials of the study, by number."""
        return self.store.trials(self.spec.name)

    @property
    def runs(self) -> list[Run]:
        """All runs of the study, done or not."""
        return self.store.runs(self.spec.name)


def train(
    desk: Desk, trials: Sequence[Trial], wanted: Sequence[RunPlan], extra: Sequence[RunPlan] = ()
) -> Iterator[News]:
    """Do the runs that are not done yet, then close the waiting trials with the runs wanted of them."""
    name = desk.spec.name
    plans = list({plan.key: plan for plan in (*extra, *wanted)}.values())
    desk.store.plan_runs(name, plans)
    done = {run.key for run in desk.runs if run.state in FINISHED}
    yield from _execute(desk, [plan for plan in plans if plan.key not in done])
    runs = desk.runs
    keys = {plan.key for plan in plans}
    failed = [run for run in runs if run.key in keys and run.state == "crashed"]
    if plans and len(failed) == len(plans):
        error = failed[0].result.error if failed[0].result else ""
        raise StudyFailed(f"stage {plans[0].stage}: all {len(plans)} runs failed; the first: {error}")
    for trial in trials:
        if trial.state == "waiting":
            state, value = search.outcome(trial, runs, wanted)
            desk.store.finish_trial(name, trial.number, state, value)
            yield replace(trial, state=state, value=value)


def _execute(desk: Desk, plans: Sequence[RunPlan]) -> Iterator[News]:
    """Train the plans in cohorts and write what happens; a lost cohort is tried once more, run by run."""
    store, name, metric = desk.store, desk.spec.name, desk.spec.metric
    attempts: dict[RunKey, int] = {}
    left: list[Cohort] = search.cohorts(plans, desk.executor.n_workers, desk.spec.train.cohort)
    renewed, lost_once = time.monotonic(), set[RunKey]()
    while left:
        again: list[Cohort] = []
        for event in desk.executor.run(left):
            if isinstance(event, Started):
                attempts |= store.start_runs(name, event.keys, event.worker)
            elif isinstance(event, RunResult):
                store.finish_run(name, event, attempts[event.key], event.metrics.get(metric))
                if event.error:
                    yield Note(event.state, f"trial {event.key[0]}, seed {event.key[2]}: {event.error}")
            elif isinstance(event, Progress):
                yield event
            elif isinstance(event, Lost):
                store.add_event(name, "lost", f"{len(event.keys)} runs: {event.error}")
                yield Note("lost", f"{len(event.keys)} runs: {event.error}")
                for key in event.keys:
                    if key in lost_once:
                        store.finish_run(name, RunResult(key, "crashed", error=event.error), attempts[key], None)
                    else:
                        again += [(plan,) for plan in plans if plan.key == key]
                lost_once.update(event.keys)
            desk.interrupt.raise_if_asked()
            if time.monotonic() - renewed > RENEW_SECONDS:
                store.renew(name)
                renewed = time.monotonic()
        left = again
