"""Ctrl-C in two steps: the first asks the loop to stop at the next event, the second stops at once."""

import signal
import threading
from types import FrameType, TracebackType
from typing import Self


class Interrupt:
    """While it is open, SIGINT and SIGTERM are remembered; the second one raises where it strikes.

    Outside the main thread, where Python delivers no signals, it does nothing.
    """

    def __init__(self) -> None:
        self._asked = False
        self._before: dict[int, object] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._remember)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]  # what `signal.signal` itself gave back

    def raise_if_asked(self) -> None:
        """Raise KeyboardInterrupt if a signal has come since it was opened."""
        if self._asked:
            raise KeyboardInterrupt

    def _remember(self, number: int, frame: FrameType | None) -> None:
        if self._asked:
            raise KeyboardInterrupt
        self._asked = True
