"""What a scheduler says of cohorts, from the first to the last."""

from collections.abc import Iterator, Sequence

from mapsearch.core.events import Event
from mapsearch.core.runs import Cohort, RunKey, RunResult
from mapsearch.executors.scheduler import Scheduler


def run(scheduler: Scheduler, cohorts: Sequence[Cohort]) -> Iterator[Event]:
    """Every event until all cohorts are trained."""
    scheduler.submit(cohorts)
    while not scheduler.is_done:
        yield from scheduler.events()


def results(scheduler: Scheduler, cohorts: Sequence[Cohort]) -> dict[RunKey, RunResult]:
    """The result of every run."""
    return {event.key: event for event in run(scheduler, cohorts) if isinstance(event, RunResult)}
