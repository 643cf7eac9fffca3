"""An executor without processes or clocks: tests say what its workers do, and when."""

from collections import deque
from collections.abc import Callable, Sequence

from mapsearch.core.runs import Cohort, RunPlan, RunResult
from mapsearch.executors.base import Ready, WorkerDied, WorkerMessage


class FakeExecutor:
    """Workers load at once; each then does what the test tells it to."""

    def __init__(self, n_workers: int = 1) -> None:
        self.n_workers = n_workers
        self.started: list[int] = []
        self.stopped: list[int] = []
        self.held: dict[int, Cohort] = {}
        self._messages: deque[tuple[int, WorkerMessage]] = deque()

    def start(self, slot: int) -> str:
        self.started.append(slot)
        self.say(slot, Ready())
        return f"worker {len(self.started)}"

    def send(self, slot: int, cohort: Cohort) -> None:
        self.held[slot] = cohort

    def poll(self, seconds: float) -> Sequence[tuple[int, WorkerMessage]]:
        messages = list(self._messages)
        self._messages.clear()
        return messages

    def stop(self, slot: int) -> None:
        self.stopped.append(slot)
        self.held.pop(slot, None)

    def close(self) -> None:
        self.held.clear()

    def say(self, slot: int, *messages: WorkerMessage) -> None:
        """The worker's messages, which the next poll finds."""
        self._messages.extend((slot, message) for message in messages)

    def finish(self, slot: int, value: float = 0.5) -> None:
        """The worker trains its cohort to the end."""
        plans = self.held.pop(slot)
        done = [RunResult(p.key, "complete", {"accuracy": value}, attempt=p.attempt) for p in plans]
        self.say(slot, *done, Ready())

    def die(self, slot: int, error: str = "the worker process died (exit code -9)") -> None:
        """The worker dies."""
        self.held.pop(slot, None)
        self.say(slot, WorkerDied(error))


class ObedientExecutor(FakeExecutor):
    """Each poll finishes one cohort: of the first slot that has one and is not slow, or else of a slow one.

    `outcome(plan)` says how a run ends; `log` lists (slot, trials) of every cohort in the order of sending.
    """

    def __init__(self, n_workers: int, slow: tuple[int, ...], outcome: Callable[[RunPlan], RunResult]) -> None:
        super().__init__(n_workers)
        self.slow, self.outcome = slow, outcome
        self.log: list[tuple[int, tuple[int, ...]]] = []

    def send(self, slot: int, cohort: Cohort) -> None:
        super().send(slot, cohort)
        self.log.append((slot, tuple(plan.trial for plan in cohort)))

    def poll(self, seconds: float) -> Sequence[tuple[int, WorkerMessage]]:
        slots = sorted(self.held, key=lambda slot: (slot in self.slow, slot))
        if slots:
            self.say(slots[0], *map(self.outcome, self.held.pop(slots[0])), Ready())
        return super().poll(seconds)


def complete(plan: RunPlan) -> RunResult:
    """A value that depends on nothing but the recipe and the seed."""
    value = (sum(len(str(pair)) for pair in plan.recipe.mapping.pairs) * 7 + plan.seed) % 97 / 97
    return RunResult(plan.key, "complete", {"accuracy": value}, attempt=plan.attempt)
