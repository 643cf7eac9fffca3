"""What the study database answers; nothing here imports torch."""

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from mapsearch.core.errors import DatabaseChanged
from mapsearch.core.runs import Run
from mapsearch.core.studies import DEFAULT_STORAGE, Study
from mapsearch.core.summaries import StudyOverview, StudySummary
from mapsearch.core.trials import Trial
from mapsearch.report.study_json import study_json
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
        trial: None takes the one that the verdict recommends, or else its nominee; before there is a verdict, all
            trials and runs are given.

    Raises:
        StudyNotFound: no study of that name; close matches are named.
        StoreError: there is no study database.
    """

    def answer(store: Store) -> tuple[Study, list[Trial], list[Run]]:
        study = store.study(name)
        verdict = study.facts.verdict
        number = verdict.exported if trial is None and verdict else trial
        numbers = None if number is None else [number]
        return study, store.trials(name, numbers=numbers), store.runs(name, of_trials=numbers)

    return _answer(storage, answer)


def overview(name: str, storage: str, n_best: int) -> StudyOverview:
    """The best proposals, the tuned recipes and the controls of a study; no other trial or run is loaded.

    Raises:
        StudyNotFound: no study of that name; close matches are named.
        StoreError: there is no study database, or another version of mapsearch stored the study.
    """
    return _answer(storage, lambda store: store.best(name, n_best))


def show(name: str, storage: str = DEFAULT_STORAGE, *, after: int = -1, limit: int | None = None) -> dict[str, Any]:
    """Verdict, trials and cost of a study: the same fields as `mapsearch show --json`.

    Args:
        after: the trials with greater numbers only.
        limit: so many of them at most; None gives all.

    Raises:
        StudyNotFound: no study of that name; close matches are named.
        StoreError: there is no study database, or another version of mapsearch stored the study.
    """
    return _answer(storage, lambda store: study_json(store.page(name, after=after, limit=limit)))


def list_studies(storage: str) -> list[StudySummary]:
    """Every study of the database, newest first.

    Raises:
        StoreError: there is no study database.
    """
    return _answer(storage, Store.studies)


def _answer(storage: str, answer: Callable[[Store], Answer]) -> Answer:
    """The answer from the database at rest, or else from one that somebody writes to."""
    with Store.open_to_read(storage) as store, _without_garbage_collection():
        for _ in range(READS - 1):
            try:
                return answer(store)
            except DatabaseChanged:
                continue
        return answer(store)


@contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """Of a large study very many objects are made and all are kept: to look for garbage among them takes a tenth."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
