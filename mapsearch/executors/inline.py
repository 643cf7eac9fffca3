"""Cohorts in this process: for debugging and tests."""

from collections.abc import Iterator, Sequence

from mapsearch.core.records import Cohort, Event, Started
from mapsearch.core.space import RecipeSpace
from mapsearch.core.spec import TrainSpec
from mapsearch.distill import distill, open_station
from mapsearch.tasks.loading import Bench


class InlineExecutor:
    """Runs one cohort after the other, right here."""

    n_workers = 1

    def __init__(self, bench: Bench, space: RecipeSpace, train: TrainSpec) -> None:
        self._bench, self._space, self._train = bench, space, train
        self._station = open_station(bench, train)

    def run(self, cohorts: Sequence[Cohort]) -> Iterator[Event | None]:
        """Events of all cohorts, in their order."""
        for cohort in cohorts:
            yield Started(tuple(plan.key for plan in cohort), "inline")
            yield from distill(self._bench, self._space, self._train, cohort, self._station)

    def close(self) -> None:
        """Nothing is left behind."""
