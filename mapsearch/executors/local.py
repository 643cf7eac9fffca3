"""Workers that are processes of this machine: one per device, each with a pipe."""

import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from multiprocessing import Pipe
from multiprocessing.connection import wait
from pathlib import Path

import torch

from mapsearch.core.execution import Execution
from mapsearch.core.runs import Cohort
from mapsearch.executors.base import Setup, WorkerDied, WorkerMessage

GRACE_SECONDS = 5.0

PACKAGE_ROOT = Path(__file__).resolve().parents[2]


class LocalExecutor:
    """Worker processes of this machine.

    Args:
        setup: what every worker loads; each worker gets one of its devices.
    """

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._devices = _devices(setup.execution)
        self.n_workers = n_workers(setup.execution)
        self._workers: dict[int, _Worker] = {}
        # Linux ends a worker with the thread that started it (`watchdog`): not with whichever iterates the study.
        self._starter = ThreadPoolExecutor(1, "mapsearch-starter")

    def start(self, slot: int) -> str:
        """Start a process on the slot's device."""
        device = self._devices[slot % len(self._devices)]
        worker = self._starter.submit(_Worker, replace(self._setup, device=device)).result()
        self._workers[slot] = worker
        return f"{worker.process.pid}@{device}"

    def send(self, slot: int, cohort: Cohort) -> None:
        """Send the cohort through the worker's pipe."""
        with suppress(ConnectionError):  # it died just now, which the next poll reports
            self._workers[slot].connection.send(cohort)

    def poll(self, seconds: float) -> Sequence[tuple[int, WorkerMessage]]:
        """All messages that lie in the pipes."""
        slots = {worker.connection: slot for slot, worker in self._workers.items()}
        messages: list[tuple[int, WorkerMessage]] = []
        for connection in wait(list(slots), seconds):
            slot = slots[connection]  # type: ignore[index]  # only connections were waited for
            messages.extend((slot, message) for message in self._receive(slot))
        return messages

    def stop(self, slot: int) -> None:
        """End the process, by force if it does not leave soon."""
        if slot in self._workers:  # else it died after its last message
            self._workers.pop(slot).end()

    def close(self) -> None:
        """Stop all workers; what they were training is lost."""
        for worker in self._workers.values():
            worker.ask_to_leave()
        for slot in list(self._workers):
            self.stop(slot)
        self._starter.shutdown()

    def _receive(self, slot: int) -> list[WorkerMessage]:
        worker, messages = self._workers[slot], list[WorkerMessage]()
        try:
            while worker.connection.poll():
                messages.append(worker.connection.recv())
        except (EOFError, OSError):  # OSError: it died in the middle of a message
            del self._workers[slot]
            messages.append(WorkerDied(f"the worker process died (exit code {worker.exit_code()})"))
        return messages


class _Worker:
    """One process and the pipe to it."""

    def __init__(self, setup: Setup) -> None:
        self.connection, theirs = Pipe()
        self.process = subprocess.Popen(
            # -P: `-m` alone would import from the working folder first
            [sys.executable, "-P", "-m", "mapsearch.executors.worker", str(theirs.fileno()), str(os.getpid())],
            pass_fds=[theirs.fileno()],
            process_group=0,  # Ctrl-C in a terminal is for the controller alone, who then stops its workers
            env={**os.environ, **_environment(setup)},
        )
        theirs.close()
        with suppress(ConnectionError):  # it died just now, which the next poll reports
            self.connection.send(replace(setup, device=setup.device.partition(":")[0]))  # its only GPU, or the CPU

    def exit_code(self) -> int:
        """How the process ended that has closed its pipe; threads of the task may keep it from leaving."""
        with suppress(subprocess.TimeoutExpired):
            return self.process.wait(GRACE_SECONDS)
        self.end()
        return self.process.returncode

    def ask_to_leave(self) -> None:
        self.connection.close()
        self.process.terminate()

    def end(self) -> None:
        self.ask_to_leave()
        try:
            self.process.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def n_workers(execution: Execution) -> int:
    """How many processes work side by side: one per GPU, or per `threads` CPU cores, unless `workers` says so."""
    if execution.workers != "auto":
        return execution.workers
    devices = _devices(execution)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return len(devices) if devices != ["cpu"] else max(1, cores // execution.threads)


def _devices(execution: Execution) -> list[str]:
    if execution.devices != "auto":
        return list(execution.devices)
    return [f"cuda:{i}" for i in range(torch.cuda.device_count())] or ["cpu"]


def _environment(setup: Setup) -> dict[str, str]:
    """Threads, the import path, and of several GPUs only the worker's own: user code may say just `cuda`."""
    variables = {"OMP_NUM_THREADS": str(setup.execution.threads), "PYTHONPATH": os.pathsep.join(_import_path())}
    gpu = setup.device.partition("cuda:")[2]
    if gpu:
        visible = os.environ.get("CUDA_VISIBLE_DEVICES", "")
        variables["CUDA_VISIBLE_DEVICES"] = visible.split(",")[int(gpu)] if visible else gpu
    return variables


def _import_path() -> list[str]:
    """This process's import path without the working folder, where a stranger's `torch.py` may lie.

    It stays where `PYTHONPATH` names it, and where mapsearch itself was imported from it.
    """
    named = {Path(entry).resolve() for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry}
    trusted = {*named, PACKAGE_ROOT}
    working = Path.cwd().resolve()
    return [entry for entry in sys.path if entry and (Path(entry).resolve() != working or working in trusted)]
