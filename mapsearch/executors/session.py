"""A worker's life: the task is loaded once, then cohorts are trained one after the other."""

from collections.abc import Iterator

import torch

from mapsearch.core.runs import Cohort
from mapsearch.core.space import RecipeSpace
from mapsearch.core.train_spec import TrainSpec
from mapsearch.distill import open_worker_state, train_cohort
from mapsearch.executors.base import Ready, Setup, WorkerMessage
from mapsearch.tasks.importing import import_task
from mapsearch.tasks.loaded_task import LoadedTask
from mapsearch.tasks.loading import open_task
from mapsearch.tasks.user_code import describe


class Session:
    """What every worker does between its start and its end, in whatever process it lives.

    Args:
        cache_bytes: budget for cached teacher outputs; 0 disables the cache.
    """

    def __init__(self, loaded: LoadedTask, space: RecipeSpace, train: TrainSpec, cache_bytes: int) -> None:
        self._loaded, self._space, self._train = loaded, space, train
        self._worker_state = open_worker_state(loaded, train, cache_bytes)

    def train(self, cohort: Cohort) -> Iterator[WorkerMessage]:
        """Train the cohort and say `Ready`; an error of the task's code is reported there.

        Raises:
            AcceleratorError: the device is of no more use to this process.
        """
        error = ""
        try:
            yield from train_cohort(self._loaded, self._space, self._train, cohort, self._worker_state)
        except torch.AcceleratorError:
            raise
        except (Exception, SystemExit) as failure:
            error = describe(failure)
        yield Ready(error)


def open_session(setup: Setup) -> Session:
    """Load the task in this process.

    Raises:
        TaskError: the task cannot be loaded or used.
    """
    torch.set_num_threads(setup.execution.threads)
    task = import_task(setup.task)
    task.output_form = setup.outputs
    loaded = open_task(task, setup.device, setup.execution.loader_workers)
    return Session(loaded, setup.space, setup.train, setup.execution.cache_bytes)
