"""Cohorts in this process: for debugging and tests."""

from collections.abc import Iterator, Sequence

from mapsearch.core.events import Event, RunsStarted
from mapsearch.core.execution import Execution
from mapsearch.core.runs import Cohort
from mapsearch.core.space import RecipeSpace
from mapsearch.core.spec import TrainSpec
from mapsearch.distill import distill, open_worker_state
from mapsearch.tasks.loading import LoadedTask


class InlineExecutor:
    """Runs one cohort after the other, right here."""

    n_workers = 1

    def __init__(self, loaded: LoadedTask, space: RecipeSpace, train: TrainSpec, execution: Execution) -> None:
        self._loaded, self._space, self._train = loaded, space, train
        self._worker_state = open_worker_state(loaded, train, execution.cache_bytes)

    def run(self, cohorts: Sequence[Cohort]) -> Iterator[Event | None]:
        """Events of all cohorts, in their order."""
        for cohort in cohorts:
            yield RunsStarted(cohort, "inline")
            yield from distill(self._loaded, self._space, self._train, cohort, self._worker_state)

    def close(self) -> None:
        """Nothing is left behind."""
