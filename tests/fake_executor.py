"""An executor without processes or clocks: tests say what its workers do, and when."""

from collections import deque
from collections.abc import Sequence

from mapsearch.core.runs import Cohort, RunResult
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
