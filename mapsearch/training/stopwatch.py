"""How long a device worked for one student."""

from time import perf_counter

import torch


class Stopwatch:
    """Adds up the time between `start` and `stop`.

    On a GPU that is the time the device takes for what was launched between them, by events in its stream:
    launching is no measure of it. Elsewhere it is wall time.
    """

    def __init__(self, device: torch.device) -> None:
        self._on_gpu = device.type == "cuda"
        self._started = 0.0
        self._seconds = 0.0
        self._events: list[torch.cuda.Event] = []

    def start(self) -> None:
        """Work for the student begins."""
        if self._on_gpu:
            self._record()
        else:
            self._started = perf_counter()

    def stop(self) -> None:
        """Work for the student ends."""
        if self._on_gpu:
            self._record()
        else:
            self._seconds += perf_counter() - self._started

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
