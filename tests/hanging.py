"""Workers whose task hangs: no test waits for as long as a study would."""

from collections.abc import Sequence
from pathlib import Path

from mapsearch.executors.base import Setup, WorkerMessage
from mapsearch.executors.local import LocalExecutor


class Clock:
    """Stands still until a test moves it."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


class Hanging(LocalExecutor):
    """Lets the clock run once the task of `faulty_task.py` has come to where it hangs."""

    def __init__(self, setup: Setup, clock: Clock, file: Path) -> None:
        super().__init__(setup)
        self.clock, self.file = clock, file

    def poll(self, seconds: float) -> Sequence[tuple[int, WorkerMessage]]:
        messages = super().poll(seconds)
        if self.file.read_text() == "hangs":
            self.file.write_text("")
            self.clock.now += 2 * self._setup.execution.stall_seconds
        return messages
