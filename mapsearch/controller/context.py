"""What every stage of a study works with."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from mapsearch.controller.interrupt import Interrupt
from mapsearch.core.events import Event, Message, Progress, RunsStarted, Standing
from mapsearch.core.metrics import judged_by
from mapsearch.core.outputs import Outputs
from mapsearch.core.runs import Run, RunResult
from mapsearch.core.similarity import Similarity
from mapsearch.core.space import RecipeSpace
from mapsearch.core.spec import StudySpec
from mapsearch.core.trials import Trial
from mapsearch.core.verdict import Verdict
from mapsearch.executors.scheduler import Scheduler
from mapsearch.store.handle import StudyHandle
from mapsearch.store.spool import Begun, Ended, Spool

Update = Message | Progress | Standing | Trial | Verdict
"""What the loop tells whoever iterates it."""

OnEvent = Callable[[Update], None]
"""What a caller wants to be told; whatever it raises ends the study, which can be resumed."""


def verdict_of(updates: Iterator[Update], on_event: OnEvent | None) -> Verdict:
    """Follow a study to its end; each update is told before the next is asked for."""
    verdict = None
    for update in updates:
        if on_event is not None:
            on_event(update)
        verdict = update if isinstance(update, Verdict) else verdict
    assert verdict is not None
    return verdict


@dataclass(frozen=True)
class StudyContext:
    """The study with its one writer, and the workers that train for it."""

    study: StudyHandle
    spec: StudySpec
    space: RecipeSpace
    similarity: Similarity
    outputs: Outputs
    scheduler: Scheduler
    interrupt: Interrupt
    spool: Spool

    @property
    def trials(self) -> list[Trial]:
        """All trials of the study, by number."""
        return self.study.trials()

    @property
    def runs(self) -> list[Run]:
        """All runs of the study, done or not."""
        return self.study.runs()

    def keep(self, *events: Event) -> None:
        """Keep on disk what the workers reported, for want of a database."""
        for event in events:
            if isinstance(event, RunsStarted):
                for plan in event.plans:
                    self.spool.append(Begun(plan.key, plan.attempt, event.worker))
            elif isinstance(event, RunResult):
                self.spool.append(Ended(*self.judged(event)))

    def judged(self, result: RunResult) -> tuple[RunResult, float | None]:
        """The result and its value by the study's metric, if it has one."""
        result = judged_by(result, self.spec.metric)
        return result, result.metrics[self.spec.metric] if result.state == "complete" else None

    def keep_all(self) -> Sequence[Event]:
        """Have the workers go on, and keep what they report; gives what happened.

        Raises:
            KeyboardInterrupt: the study is to stop.
        """
        events = tuple(self.scheduler.events())
        self.keep(*events)
        self.raise_if_stopped()
        return events

    def raise_if_stopped(self) -> None:
        """Raise KeyboardInterrupt if a signal has come, or if somebody asked the study to stop.

        Raises:
            StudyBusy: another process took over: what is in training would be refused.
        """
        self.interrupt.raise_if_asked()
        if self.study.stop_requested:
            raise KeyboardInterrupt
