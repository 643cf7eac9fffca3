"""The one scheduler above every executor: it gives out cohorts, splits, retries, and knows when to give up."""

from collections import Counter, deque
from collections.abc import Callable, Container, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from mapsearch.core.errors import StudyFailed
from mapsearch.core.events import Event, Message, Progress, RunsLost, RunsStarted
from mapsearch.core.execution import Execution
from mapsearch.core.runs import Cohort, RunKey, RunPlan, RunResult
from mapsearch.distill import CohortSplit, slices
from mapsearch.executors.awake_clock import AwakeClock
from mapsearch.executors.base import Executor, LoadFailed, Loading, Ready, WorkerDied, WorkerMessage

HEARTBEAT_SECONDS = 0.2
"""Longest wait for a message, so that the caller can look after other things."""

TRIES_PER_RUN = 2
CRASHES_PER_TRIAL = 3
"""Workers that may die while they train nothing but runs of one trial; what is left of it is then given up."""

CRASHES_IN_A_ROW = 10
"""Workers that may die one after the other without any run coming through; three per worker where that is more."""


@dataclass
class _Slot:
    """One worker as the scheduler sees it; `cohort` is what it has not finished yet."""

    state: Literal["empty", "loading", "idle", "busy"] = "empty"
    worker: str = ""
    cohort: Cohort = ()
    last_sign: float = 0.0


@dataclass
class Scheduler:
    """Trains cohorts on an executor's workers.

    A cohort that does not fit into memory goes on in smaller ones, in a new worker, and so do all after it. A run
    that is lost with its worker is tried once more, alone, and is then `crashed`. A worker that makes no progress
    for `execution.stall_seconds`, or has not loaded the task by then, is stopped. What a worker says about an attempt
    that it no longer holds is dropped.
    """

    executor: Executor
    execution: Execution
    clock: Callable[[], float] = field(default_factory=AwakeClock)
    _slots: list[_Slot] = field(default_factory=list)
    _waiting: deque[Cohort] = field(default_factory=deque)
    _tries: Counter[RunKey] = field(default_factory=Counter)
    _crashes: Counter[int] = field(default_factory=Counter)  # by trial
    _crashes_in_a_row: int = 0
    _was_ready: bool = False

    def __post_init__(self) -> None:
        self._slots = [_Slot() for _ in range(self.executor.n_workers)]
        self._largest = self.execution.cohort

    @property
    def n_workers(self) -> int:
        """How many cohorts are trained at once, at most."""
        return len(self._slots)

    @property
    def n_free(self) -> int:
        """How many workers would have nothing to do once what waits is given out."""
        return max(0, sum(slot.state != "busy" for slot in self._slots) - len(self._waiting))

    @property
    def is_done(self) -> bool:
        """Whether everything that was submitted has a result."""
        return not self._waiting and all(slot.state != "busy" for slot in self._slots)

    @property
    def held(self) -> set[RunKey]:
        """The runs that wait or are in training."""
        return {plan.key for cohort in (*self._waiting, *(slot.cohort for slot in self._slots)) for plan in cohort}

    def is_done_with(self, keys: Container[RunKey]) -> bool:
        """Whether nothing is left to do, but for runs that are not among these."""
        if any(plan.key in keys for cohort in self._waiting for plan in cohort):
            return False
        busy = [slot.cohort for slot in self._slots if slot.state == "busy"]
        return all(cohort and not any(plan.key in keys for plan in cohort) for cohort in busy)

    def submit(self, cohorts: Sequence[Cohort]) -> None:
        """Have the cohorts trained after those that wait already."""
        self._waiting.extend(cohorts)

    def events(self) -> Iterator[Event]:
        """What happens next; nothing when nothing happened for a fifth of a second.

        Raises:
            StudyFailed: the task cannot be loaded, or workers die again and again.
        """
        self._start_workers()
        yield from self._give_out()
        slots = list(self._slots)
        messages, polled_at = self.executor.poll(HEARTBEAT_SECONDS), self.clock()
        for number, message in messages:
            if self._slots[number] is slots[number]:  # else that worker was stopped over an earlier message
                yield from self._heard(number, message)
        yield from self._stop_stalled(polled_at)

    def close(self) -> None:
        """Stop all workers."""
        self.executor.close()

    def _start_workers(self) -> None:
        needed = len(self._waiting) - sum(slot.state in ("loading", "idle") for slot in self._slots)
        empty = [number for number, slot in enumerate(self._slots) if slot.state == "empty"]
        for number in empty[: max(0, needed)]:
            self._slots[number] = _Slot("loading", self.executor.start(number), last_sign=self.clock())

    def _give_out(self) -> Iterator[Event]:
        for number, slot in enumerate(self._slots):
            cohort = (yield from self._next_cohort(slot.worker)) if slot.state == "idle" else ()
            if cohort:
                slot.state, slot.cohort = "busy", cohort
                self._tries.update(plan.key for plan in cohort)
                yield RunsStarted(cohort, slot.worker)
                self.executor.send(number, cohort)
                slot.last_sign = self.clock()

    def _next_cohort(self, worker: str) -> Generator[Event, None, Cohort]:
        """The runs that a worker trains next; those of a trial that took too many workers with it are given up."""
        while self._waiting:
            cohort = self._waiting.popleft()
            for plan in cohort:
                if self._is_hopeless(plan):
                    error = f"not tried: {self._crashes[plan.trial]} workers died training trial {plan.trial}"
                    yield RunsStarted((plan,), worker)
                    yield RunResult(plan.key, "crashed", error=error, attempt=plan.attempt)
            now, *later = slices([plan for plan in cohort if not self._is_hopeless(plan)], self._largest) or ((),)
            self._waiting.extendleft(reversed(later))
            if now:
                return now
        return ()

    def _is_hopeless(self, plan: RunPlan) -> bool:
        return self._crashes[plan.trial] >= CRASHES_PER_TRIAL

    def _heard(self, number: int, message: WorkerMessage) -> Iterator[Event]:
        slot = self._slots[number]
        slot.last_sign = self.clock()
        if isinstance(message, LoadFailed):
            raise StudyFailed(f"a worker process could not load the task: {message.error}")
        if isinstance(message, WorkerDied):
            yield from self._crashed(number, message.error)
        elif isinstance(message, CohortSplit):
            again = [tuple(plan.next_attempt() for plan in cohort) for cohort in message.cohorts]
            self._tries.subtract(plan.key for plan in slot.cohort)
            self._largest = max(len(cohort) for cohort in again)
            self._waiting.extendleft(reversed(again))
            self._empty(number)  # a new worker begins with all of the memory
        elif isinstance(message, Loading):
            slot.worker = message.worker
        elif isinstance(message, Ready):
            self._was_ready = True
            plans, slot.state, slot.cohort = slot.cohort, "idle", ()
            yield from self._lost(plans, message.error or "the worker returned no result")
        elif isinstance(message, Message):
            yield message
        elif any((plan.key, plan.attempt) == (message.key, message.attempt) for plan in slot.cohort):
            yield from self._reported(slot, message)

    def _reported(self, slot: _Slot, message: Progress | RunResult) -> Iterator[Event]:
        if isinstance(message, RunResult):
            slot.cohort = tuple(plan for plan in slot.cohort if plan.key != message.key)
            del self._tries[message.key]
            self._crashes_in_a_row = 0
        yield message

    def _stop_stalled(self, polled_at: float) -> Iterator[Event]:
        """Stop workers that had been silent when they were polled: whoever takes the events may take its time."""
        limit = self.execution.stall_seconds
        for number, slot in enumerate(self._slots):
            works = slot.state == "busy" or (slot.state == "loading" and slot.worker)  # else it may wait for a place
            if works and polled_at - slot.last_sign > limit:
                self.executor.stop(number)
                yield from self._crashed(number, f"no progress for {limit:g} s (`execution.stall_seconds`)")

    def _crashed(self, number: int, error: str) -> Iterator[Event]:
        """The worker is gone: its runs are lost, unless there were too many such ends."""
        slot, self._slots[number] = self._slots[number], _Slot()
        self._crashes_in_a_row += 1
        if slot.state == "loading" and not self._was_ready:
            raise StudyFailed(f"{error} before it had loaded the task")
        if self._crashes_in_a_row >= max(CRASHES_IN_A_ROW, 3 * self.n_workers):
            raise StudyFailed(f"{self._crashes_in_a_row} workers died in a row; the last: {error}")
        if len(slot.cohort) == 1:
            self._crashes[slot.cohort[0].trial] += 1
        yield from self._lost(slot.cohort, error)

    def _lost(self, plans: Cohort, error: str) -> Iterator[Event]:
        """Runs without a result are tried again, each alone, as long as there is hope."""
        if plans:
            yield RunsLost(plans, error)
        for plan in plans:
            if self._tries[plan.key] < TRIES_PER_RUN and not self._is_hopeless(plan):
                self._waiting.append((plan.next_attempt(),))
            else:
                del self._tries[plan.key]
                yield RunResult(plan.key, "crashed", error=error, attempt=plan.attempt)

    def _empty(self, number: int) -> None:
        self.executor.stop(number)
        self._slots[number] = _Slot()
