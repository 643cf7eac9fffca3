"""What was tried, sorted as it comes: what a proposal costs hardly grows with the search."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from typing import overload

from mapsearch.core.recipe import Recipe
from mapsearch.core.trials import Trial


class History(Sequence[Trial]):
    """The trials of a search in their order, and what a model asks of those with features.

    Attributes:
        values: of those that ended, in their order; not a number where one could not be run.
    """

    def __init__(self, trials: Iterable[Trial] = ()) -> None:
        self.values: list[float] = []
        self._trials: list[Trial] = []
        self._places: dict[int, int] = {}  # by number
        self._ended: list[int] = []  # places
        self._waiting: dict[int, Trial] = {}  # by place
        self._by_share: dict[float, list[Recipe]] = {}
        for trial in trials:
            self.put(trial)

    @classmethod
    def of(cls, trials: Sequence[Trial]) -> "History":
        """The history of these trials, or the one that they are."""
        return trials if isinstance(trials, cls) else cls(trials)

    def put(self, trial: Trial) -> None:
        """Take in a trial that is new, or that has ended and takes the place of the one that waited."""
        place = self._places.setdefault(trial.number, len(self._trials))
        if place == len(self._trials):
            self._trials.append(trial)
            self._by_share.setdefault(trial.recipe.feature_share, []).append(trial.recipe)
        assert self._trials[place] is trial or self._trials[place].state == "waiting", "a trial ends once"
        self._trials[place] = trial
        self._waiting.pop(place, None)
        if not trial.recipe.feature_share:
            return
        if trial.state == "waiting":
            self._waiting[place] = trial
        elif trial.state in ("complete", "infeasible"):
            at = bisect_left(self._ended, place)  # with several workers, not always the last
            self._ended.insert(at, place)
            self.values.insert(at, float("nan") if trial.value is None else trial.value)

    def ended(self, index: int) -> Trial:
        """The trial with features whose value has that index."""
        return self._trials[self._ended[index]]

    @property
    def waiting(self) -> list[Trial]:
        """Those with features that have not ended, in their order."""
        return list(self._waiting.values())

    def recipes_of_share(self, feature_share: float) -> Sequence[Recipe]:
        """The recipes of all trials that give so much to the features: few do."""
        return self._by_share.get(feature_share, ())

    def __iter__(self) -> Iterator[Trial]:
        return iter(self._trials)

    def __len__(self) -> int:
        return len(self._trials)

    @overload
    def __getitem__(self, index: int) -> Trial: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Trial]: ...

    def __getitem__(self, index: int | slice) -> Trial | Sequence[Trial]:
        return self._trials[index]
