"""How long a device worked for one student."""

from collections.abc import Callable
from time import perf_counter, process_time

import torch


def device_clock(device: torch.device) -> Callable[[], float]:
    """What tells the seconds that a device works: on a CPU those of this process, over all its threads.

    What other programs take beside it, as on a shared machine, is thus no cost of a recipe. Elsewhere wall time.
    """
    return process_time if device.type == "cpu" else perf_counter


class Stopwatch:
    """Adds up the time between `start` and `stop`.

    On a GPU that is the time the device takes for what was launched between them, by events in its stream:
    launching is no measure of it. Elsewhere it is that of `device_clock`.
    """

    def __init__(self, device: torch.device) -> None:
        self._clock = device_clock(device)
        self._on_gpu = device.type == "cuda"
        self._started = 0.0
        self._seconds = 0.0
        self._events: list[torch.cuda.Event] = []

    def start(self) -> None:
        """Work for the student begins."""
        if self._on_gpu:
            self._record()
        else:
            self._started = self._clock()

    def stop(self) -> None:
        """Work for the student ends."""
        if self._on_gpu:
            self._record()
        else:
            self._seconds += self._clock() - self._started

    def take(self) -> float:
        """Seconds since the last `take`; on a GPU this waits for what was launched up to the last `stop`."""
        if self._events:
            self._events[-1].synchronize()
            pairs = zip(self._events[::2], self._events[1::2], strict=False)
            self._seconds += sum(start.elapsed_time(stop) for start, stop in pairs) / 1000
            self._events.clear()
        seconds, self._seconds = self._seconds, 0.0
        return seconds

    def _record(self) -> None:
        event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        event.record()
        self._events.append(event)
