"""Work on a GPU recorded as CUDA graphs: replayed as a whole, not launched kernel by kernel from Python."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from mapsearch.tasks.memory import free_bytes
from mapsearch.training.recorder import Run, Sight

N_LANES = 8
"""Streams side by side: one small student fills a fraction of a GPU."""


class CudaGraphs:
    """The graphs of one cohort, spread over lanes: streams with memory of their own, whose work overlaps.

    Graphs of one lane are replayed one after the other and share their memory. Close it, or the memory stays taken.

    Args:
        step_bytes: what one step takes; there are as many lanes as half of the free memory has room for.
    """

    def __init__(self, device: torch.device, step_bytes: int) -> None:
        room = (free_bytes(device) or 0) // (2 * max(1, step_bytes))
        self._device, self._main = device, torch.cuda.current_stream(device)
        self._lanes = _streams(device, max(1, min(N_LANES, room)))
        self._pools = [torch.cuda.graph_pool_handle() for _ in self._lanes]
        self._graphs: list[torch.cuda.CUDAGraph] = []  # a pool whose last graph is gone cannot be recorded into again

    @contextmanager
    def lane(self, number: int) -> Iterator[None]:
        """Work launched within goes to a lane, after all work launched outside before."""
        lane = self._lanes[number % len(self._lanes)]
        lane.wait_stream(self._main)
        with torch.cuda.stream(lane):
            yield

    def join(self) -> None:
        """Work launched from now on comes after that of all lanes."""
        for lane in self._lanes:
            self._main.wait_stream(lane)

    def use_one_lane(self) -> None:
        """For graphs that draw random numbers: all of them read their seed from one place in memory."""
        self.join()
        del self._lanes[1:]

    @contextmanager
    def watched(self) -> Iterator[Sight]:
        """See what hinders the work within from being recorded."""
        generator, before = self._generator(), torch.cuda.get_sync_debug_mode()
        offset, sight = generator.get_offset(), Sight()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            torch.cuda.set_sync_debug_mode("warn")
            try:
                yield sight
            finally:
                torch.cuda.set_sync_debug_mode(before)
        sight.waited = any("called a synchronizing" in str(warning.message) for warning in caught)
        sight.drew = generator.get_offset() != offset

    def record(self, number: int, run: Run) -> Run:
        """Record what `run` launches, within that lane, without doing it; each call of what comes back does it once.

        The tensor that comes back is the same at every call.

        Raises:
            RuntimeError: it cannot be recorded.
        """
        graph = torch.cuda.CUDAGraph()
        self._graphs.append(graph)
        graph.capture_begin(self._pools[number % len(self._lanes)], capture_error_mode="thread_local")
        try:
            result = run()
        finally:
            graph.capture_end()

        def replay() -> Tensor:
            graph.replay()
            return result

        return replay

    def recover(self) -> None:
        """Make the device usable after a recording that failed; no graph may be replayed from then on.

        Raises:
            AcceleratorError: the device is of no more use.
        """
        self._release()
        fresh = torch.Generator(self._device)  # the old state believes for ever that it is being recorded
        self._generator().graphsafe_set_state(fresh.graphsafe_get_state())

    def close(self) -> None:
        """Give back what the graphs hold."""
        self._release()
        torch.cuda.empty_cache()

    def _release(self) -> None:
        torch.cuda.synchronize(self._device)
        for graph in self._graphs:
            graph.reset()

    def _generator(self) -> torch.Generator:
        index = self._device.index if self._device.index is not None else torch.cuda.current_device()
        return torch.cuda.default_generators[index]


def _streams(device: torch.device, n: int) -> list[torch.cuda.Stream]:
    return [torch.cuda.Stream(device) for _ in range(n)]  # type: ignore[no-untyped-call]
