"""Cohorts in worker processes of this machine: one per device, alive between cohorts, replaced when it dies."""

import os
import subprocess
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from multiprocessing import Pipe
from multiprocessing.connection import wait

import torch

from mapsearch.core.errors import StudyFailed
from mapsearch.core.events import Event, RunsLost, RunsStarted
from mapsearch.core.execution import Execution
from mapsearch.core.runs import Cohort, RunResult
from mapsearch.distill import CohortSplit, slices
from mapsearch.executors.worker import Ready, Setup

HEARTBEAT_SECONDS = 0.2
GRACE_SECONDS = 5.0


class LocalExecutor:
    """A pool of worker processes.

    Args:
        setup: what every worker loads; each worker gets one of its devices.
    """

    def __init__(self, setup: Setup) -> None:
        self._devices = _devices(setup.execution)
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        default = len(self._devices) if self._devices != ["cpu"] else max(1, cores // setup.execution.threads)
        self.n_workers = default if setup.execution.workers == "auto" else setup.execution.workers
        self._setup = setup
        self._workers: dict[int, _Worker] = {}
        self._waiting: deque[Cohort] = deque()
        self._most = setup.execution.cohort

    def run(self, cohorts: Sequence[Cohort]) -> Iterator[Event | None]:
        """Events of all cohorts as they come, and None at least every fifth of a second.

        A cohort that did not fit into memory goes on in smaller ones, and so do all after it.
        """
        self._waiting = waiting = deque(cohorts)
        for slot in range(min(self.n_workers, len(waiting))):
            if slot not in self._workers:
                self._start(slot)
        while waiting or any(worker.cohort for worker in self._workers.values()):
            for worker in self._workers.values():
                if worker.ready and waiting:
                    first, *rest = slices(waiting.popleft(), self._most)
                    waiting.extendleft(reversed(rest))
                    worker.give(first)
                    yield RunsStarted(worker.cohort, f"{worker.pid}@{worker.device}")
            wait([worker.connection for worker in self._workers.values()], HEARTBEAT_SECONDS)
            yield None
            for slot, worker in list(self._workers.items()):
                yield from self._listen(slot, worker)

    def close(self) -> None:
        """Stop all workers; what they were training is lost."""
        for worker in self._workers.values():
            worker.connection.close()
            worker.process.terminate()
        for worker in self._workers.values():
            try:
                worker.process.wait(GRACE_SECONDS)
            except subprocess.TimeoutExpired:
                worker.process.kill()
                worker.process.wait()
        self._workers.clear()

    def _start(self, slot: int) -> None:
        device = self._devices[slot % len(self._devices)]
        self._workers[slot] = _Worker(replace(self._setup, device=device))

    def _listen(self, slot: int, worker: "_Worker") -> Iterator[Event]:
        try:
            while worker.connection.poll():
                message = worker.connection.recv()
                if isinstance(message, RunResult):
                    worker.cohort = tuple(plan for plan in worker.cohort if plan.key != message.key)
                if isinstance(message, Ready):
                    yield from worker.is_ready(message)
                elif isinstance(message, CohortSplit):
                    worker.cohort = ()  # the process ends now and is replaced
                    self._most = max(len(cohort) for cohort in message.cohorts)
                    again = [tuple(plan.next_attempt() for plan in cohort) for cohort in message.cohorts]
                    self._waiting.extendleft(reversed(again))
                else:
                    yield message
        except (EOFError, ConnectionError):
            code = worker.process.wait()
            plans = worker.cohort
            if not worker.has_worked:
                raise StudyFailed(f"a worker process died (exit code {code}) before it was ready") from None
            self._start(slot)
            if plans:
                yield RunsLost(plans, f"the worker process died (exit code {code})")


class _Worker:
    """One process and the cohort it holds."""

    def __init__(self, setup: Setup) -> None:
        self.connection, theirs = Pipe()
        self.device = setup.device
        self.process = subprocess.Popen(
            [sys.executable, "-m", "mapsearch.executors.worker", str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            process_group=0,  # Ctrl-C in a terminal is for the controller alone, who then stops its workers
            env={**os.environ, **_environment(setup)},
        )
        theirs.close()
        self.pid = self.process.pid
        self.cohort: Cohort = ()
        self.ready = self.has_worked = False
        self.connection.send(replace(setup, device=setup.device.partition(":")[0]))  # its only GPU, or the CPU

    def give(self, cohort: Cohort) -> None:
        self.cohort, self.ready = cohort, False
        with suppress(ConnectionError):  # it died just now; `_listen` sees the closed pipe and reports the loss
            self.connection.send(cohort)

    def is_ready(self, message: Ready) -> Iterator[Event]:
        if message.error and not self.has_worked:
            raise StudyFailed(f"a worker process could not load the task: {message.error}")
        plans = self.cohort
        self.cohort, self.ready, self.has_worked = (), True, True
        if plans:
            yield RunsLost(plans, message.error or "the worker gave no result")


def _environment(setup: Setup) -> dict[str, str]:
    """Threads, the import path, and of several GPUs only the worker's own: user code may say just `cuda`."""
    variables = {"OMP_NUM_THREADS": str(setup.execution.threads), "PYTHONPATH": os.pathsep.join(sys.path)}
    gpu = setup.device.partition("cuda:")[2]
    if gpu:
        visible = os.environ.get("CUDA_VISIBLE_DEVICES", "")
        variables["CUDA_VISIBLE_DEVICES"] = visible.split(",")[int(gpu)] if visible else gpu
    return variables


def _devices(execution: Execution) -> list[str]:
    if execution.devices != "auto":
        return list(execution.devices)
    return [f"cuda:{i}" for i in range(torch.cuda.device_count())] or ["cpu"]
