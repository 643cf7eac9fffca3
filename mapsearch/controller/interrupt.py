"""Ctrl-C in two steps: the first asks the loop to stop at the next event, the second stops at once."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Self


class Interrupt:
    """While it is open, SIGINT, SIGTERM and SIGUSR1 are remembered; the second one raises where it strikes.

    SIGUSR1 is what queues such as Slurm's are asked to send before they take a machine away.

    Outside the main thread, where Python delivers no signals, it does nothing.
    """

    def __init__(self) -> None:
        self._asked = self._at_once = False
        self._before: dict[int, object] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
                self._before[number] = signal.signal(number, self._remember)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]  # what `signal.signal` itself gave back

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

    def _remember(self, number: int, frame: FrameType | None) -> None:
        strikes, self._asked = self._asked or self._at_once, True
        if strikes:
            raise KeyboardInterrupt
