"""Planned runs go in; the missing ones are trained, and everything that happens is recorded."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from mapsearch import search
from mapsearch.controller.context import StudyContext, Update
from mapsearch.controller.failures import raise_if_nothing_came_through
from mapsearch.controller.standing import StandingCount
from mapsearch.core.errors import DatabaseFailed
from mapsearch.core.events import Event, Message, RunsLost, RunsStarted
from mapsearch.core.runs import FINISHED, Run, RunKey, RunPlan, RunResult
from mapsearch.core.trials import Trial


class Runner:
    """The runs of one stage: each is trained once, whatever the study held before.

    A waiting trial is closed as soon as the runs wanted of it have ended.
    """

    def __init__(self, context: StudyContext) -> None:
        self._context = context
        self._known = {run.key: run for run in context.runs}
        self._standing = StandingCount(context)
        self._plans: dict[RunKey, RunPlan] = {}
        self._open: dict[int, tuple[Trial, list[RunPlan]]] = {}
        self._is_running = False

    @property
    def n_free(self) -> int:
        """How many workers have nothing to do."""
        return self._context.scheduler.n_free

    @property
    def is_done(self) -> bool:
        """Whether every run has ended."""
        return self._context.scheduler.is_done_with(self._plans)

    @property
    def any_came_through(self) -> bool:
        """Whether one of the stage's runs is complete."""
        return any(key in self._known and self._known[key].state == "complete" for key in self._plans)

    @property
    def ended(self) -> list[Run]:
        """Those of the stage's runs that have ended, in the order in which they were wanted."""
        return [self._known[key] for key in self._plans if key in self._known and self._known[key].state in FINISHED]

    def submit(
        self,
        trials: Sequence[Trial],
        wanted: Sequence[RunPlan],
        extra: Sequence[RunPlan] = (),
        n_workers: int = 0,
        *,
        are_new: bool = False,
    ) -> Iterator[Update]:
        """Have the missing runs trained, shared out among so many workers, or all.

        The trials are closed with the runs wanted of them; `extra` runs are trained, but close nothing. Those that
        `are_new` are added to the study first.
        """
        context = self._context
        plans = {plan.key: plan for plan in (*extra, *wanted)}
        attempts = {key: self._known[key].attempt if key in self._known else 0 for key in plans}
        held = context.scheduler.held  # before the database was away
        wanting = {key: plan for key, plan in plans.items() if key not in held and not self._has_ended(key)}
        missing = [replace(plan, attempt=attempts[key] + 1) for key, plan in wanting.items()]
        with context.study.in_one_transaction():
            if are_new:
                context.study.add_trials(trials)
            context.study.plan_runs(list(plans.values()))
            if missing and not self._is_running:
                context.study.set_state("running")
        self._is_running |= bool(missing)
        self._plans |= plans
        size = context.spec.execution.cohort
        context.scheduler.submit(search.cohorts(missing, n_workers or context.scheduler.n_workers, size))
        for trial in trials:
            if trial.state == "waiting":
                self._open[trial.number] = trial, [plan for plan in wanted if plan.trial == trial.number]
                yield from self._close_if_ended(trial.number)

    def updates(self) -> Iterator[Update]:
        """What happens next; nothing when nothing happened for a moment.

        Raises:
            StudyFailed: the study cannot go on.
            DatabaseFailed: the database failed; what the workers reported is kept.
            KeyboardInterrupt: the study is to stop.
        """
        events = self._context.scheduler.events()
        for event in events:
            try:
                yield from self._record(event)
            except DatabaseFailed:
                self._context.keep(event, *events)
                raise
        self._context.raise_if_stopped()

    def _record(self, event: Event) -> Iterator[Update]:
        study = self._context.study
        if isinstance(event, RunsStarted):
            study.start_runs(event.plans, event.worker)
        elif isinstance(event, RunResult):
            yield from self._finish(*self._context.judged(event))
        elif isinstance(event, RunsLost):
            runs = ", ".join(f"trial {plan.trial} seed {plan.seed}" for plan in event.plans)
            study.add_event("lost", f"{runs}: {event.error}")
            yield Message("lost", f"{runs}: {event.error}")
        else:
            yield event

    def _finish(self, result: RunResult, value: float | None) -> Iterator[Update]:
        with self._context.study.in_one_transaction():
            self._context.study.finish_run(result, value)
            if result.key not in self._plans:
                return  # begun before the database was away, in steps that are not taken again
            self._known[result.key] = self._plans[result.key].ended(result, value)
            closed = list(self._close_if_ended(result.key[0]))
        if result.error:
            yield Message(result.state, f"trial {result.key[0]}, seed {result.key[2]}: {result.error}")
        yield from closed
        yield self._standing.after(self._known[result.key])

    def _close_if_ended(self, number: int) -> Iterator[Update]:
        trial, wanted = self._open.get(number, (None, []))
        if trial is not None and all(self._has_ended(plan.key) for plan in wanted):
            del self._open[number]
            state, value = search.outcome(trial, [self._known[plan.key] for plan in wanted], wanted)
            self._context.study.finish_trial(number, state, value)
            closed = replace(trial, state=state, value=value)
            self._standing.trial_closed(closed)
            yield closed

    def _has_ended(self, key: RunKey) -> bool:
        return key in self._known and self._known[key].state in FINISHED


def run_plans(
    context: StudyContext,
    trials: Sequence[Trial],
    wanted: Sequence[RunPlan],
    extra: Sequence[RunPlan] = (),
    *,
    may_fail: bool = False,
) -> Iterator[Update]:
    """Train the runs that are missing, and close the waiting trials with the runs wanted of them.

    Raises:
        StudyFailed: none of the runs succeeded, and they may not all fail.
    """
    runner = Runner(context)
    yield from runner.submit(trials, wanted, extra)
    while not runner.is_done:
        yield from runner.updates()
    if not may_fail:
        raise_if_nothing_came_through(runner.ended)
