"""Ctrl-C in two steps: the first asks the loop to stop at the next event, the second stops at once."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Self


class Interrupt:
    """While it is open, SIGINT, SIGTERM and SIGUSR1 are remembered; the second one raises where it strikes.

    SIGUSR1 is what queues such as Slurm's are asked to send before they take a machine away.

    Outside the main thread, where Python delivers no signals, it does nothing; nor does it in processes that are
    forked meanwhile, such as those that a task makes and ends.
    """

    def __init__(self) -> None:
        self._asked = self._at_once = False
        self._before: dict[int, object] = {}
        self._process = os.getpid()

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
                self._before[number] = signal.signal(number, self._remember)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number in self._before:
            self._give_back(number)

    @property
    def is_asked(self) -> bool:
        """Whether a signal has come since it was opened."""
        return self._asked

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Within the `with` statement the first signal raises where it strikes: nothing there is worth waiting for."""
        self._at_once = True
        try:
            yield
        finally:
            self._at_once = False

    def raise_if_asked(self) -> None:
        """Raise KeyboardInterrupt if a signal has come since it was opened."""
        if self._asked:
            raise KeyboardInterrupt

    def _give_back(self, number: int) -> None:
        signal.signal(number, self._before[number])  # type: ignore[arg-type]  # what `signal.signal` itself gave back

    def _remember(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._process:
            self._give_back(number)
            os.kill(os.getpid(), number)
            return
        strikes, self._asked = self._asked or self._at_once, True
        if strikes:
            raise KeyboardInterrupt
