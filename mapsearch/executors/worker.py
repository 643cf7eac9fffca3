"""The worker process: loads the task once, then trains each cohort it is sent.

RunsStarted as `python -m mapsearch.executors.worker FD` by the local executor, with one end of a pipe.
It leaves when the pipe closes, so that a controller that was killed takes its workers with it, and
when memory did not suffice, so that the next process begins with all of it.
"""

import os
import signal
import sys
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch

from mapsearch.core.errors import MapsearchError
from mapsearch.core.execution import Execution
from mapsearch.core.space import RecipeSpace
from mapsearch.core.spec import TrainSpec
from mapsearch.distill import CohortSplit, open_worker_state, train_cohort
from mapsearch.tasks.loading import describe, import_task, open_task


@dataclass(frozen=True)
class Setup:
    """What a worker needs to begin; everything in it can be pickled."""

    task: str
    folder: Path
    options: dict[str, Any]
    cache_dir: Path
    train: TrainSpec
    execution: Execution
    device: str
    space: RecipeSpace


@dataclass(frozen=True)
class Ready:
    """The worker waits for a cohort; `error` says why the last one could not be worked on."""

    error: str = ""


def main(connection: Connection) -> None:
    """Serve cohorts until the pipe closes."""
    setup: Setup = connection.recv()
    torch.set_num_threads(setup.execution.threads)
    try:
        task = import_task(setup.task, setup.folder, setup.options, setup.cache_dir)
        loaded = open_task(task, setup.device)
        worker_state = open_worker_state(loaded, setup.train, setup.execution.cache_bytes)
        connection.send(Ready())
        while True:
            cohort = connection.recv()
            error = ""
            try:
                for event in train_cohort(loaded, setup.space, setup.train, cohort, worker_state):
                    connection.send(event)
                    if isinstance(event, CohortSplit):
                        return
            except (ConnectionError, torch.AcceleratorError):  # not any OSError: the task's data may lack a file
                raise  # after an error of the accelerator no later run of this process would work
            except Exception as failure:
                error = describe(failure)
            connection.send(Ready(error))
    except MapsearchError as failure:
        connection.send(Ready(str(failure)))
    except (EOFError, OSError):
        return  # the controller is gone


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the controller decides
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what a task prints is progress, not a result
    # importing by its real name keeps `Setup` and `Ready` the same classes on both sides of the pipe
    from mapsearch.executors import worker

    worker.main(Connection(int(sys.argv[1])))
