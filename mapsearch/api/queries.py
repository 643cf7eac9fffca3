"""What the study database answers; nothing here imports torch."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from mapsearch.core.errors import DatabaseChanged
from mapsearch.core.runs import Run
from mapsearch.core.studies import DEFAULT_STORAGE, Study
from mapsearch.core.summaries import RunSummary, StudyCost, StudySummary
from mapsearch.core.trials import Trial
from mapsearch.report import study_json
from mapsearch.store.store import Store

Answer = TypeVar("Answer")

READS = 3
"""How often a file is read that somebody writes to meanwhile."""


def read(name: str, storage: str) -> tuple[Study, list[Trial], list[Run]]:
    """A whole study: all of its trials, and all of its runs with their results.

    Raises:
        StudyNotFound: no study of that name; close matches are named.
        StoreError: there is no study database.
    """
    return _answer(storage, lambda store: (store.study(name), store.trials(name), store.runs(name)))


def read_for_export(name: str, storage: str, trial: int | None) -> tuple[Study, list[Trial], list[Run]]:
    """A study with what an export of that trial needs: the trial and its runs.

    Args:
        trial: None takes the one that the verdict recommends; before there is a verdict, all trials
            and runs are given.

    Raises:
        StudyNotFound: no study of that name; close matches are named.
        StoreError: there is no study database.
    """

    def answer(store: Store) -> tuple[Study, list[Trial], list[Run]]:
        study = store.study(name)
        verdict = study.facts.verdict
        number = verdict.recommended if trial is None and verdict else trial
        numbers = None if number is None else [number]
        return study, store.trials(name, numbers=numbers), store.runs(name, of_trials=numbers)

    return _answer(storage, answer)


@dataclass(frozen=True)
class Overview:
    """What `show` prints of a study: its best proposals and its controls with their runs, and what it cost."""

    study: Study
    trials: list[Trial]
    runs: list[RunSummary]
    cost: StudyCost


def overview(name: str, storage: str, n_best: int) -> Overview:
    """The best proposals, the tuned recipes and the controls of a study; no other trial or run is loaded.

    Raises:
        StudyNotFound: no study of that name.
    """

    def answer(store: Store) -> Overview:
        trials = store.shown_trials(name, n_best)
        runs = store.run_summaries(name, of_trials=[trial.number for trial in trials])
        return Overview(store.study(name), trials, runs, store.cost(name))

    return _answer(storage, answer)


def show(name: str, storage: str = DEFAULT_STORAGE, *, after: int = -1, limit: int | None = None) -> dict[str, Any]:
    """Verdict, trials and cost of a study: the same fields as `mapsearch show --json`.

    Args:
        after: the trials with greater numbers only.
        limit: so many of them at most; None gives all.

    Raises:
        StudyNotFound: no study of that name.
    """

    def answer(store: Store) -> dict[str, Any]:
        study, trials, outputs = store.study(name), store.trials(name, after=after, limit=limit), store.outputs(name)
        numbers = [trial.number for trial in trials] + ([] if outputs is None else [outputs])
        runs = store.run_summaries(name, of_trials=None if len(trials) == study.n_trials else numbers)
        return study_json(study, trials, runs, store.cost(name), outputs)

    return _answer(storage, answer)


def list_studies(storage: str) -> list[StudySummary]:
    """Every study of the database, newest first.

    Raises:
        StoreError: there is no study database.
    """
    return _answer(storage, Store.studies)


def _answer(storage: str, answer: Callable[[Store], Answer]) -> Answer:
    """The answer from the database at rest, or else from one that somebody writes to."""
    with Store.open_to_read(storage) as store:
        for _ in range(READS - 1):
            try:
                return answer(store)
            except DatabaseChanged:
                continue
        return answer(store)
