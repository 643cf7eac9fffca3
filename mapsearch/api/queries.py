"""What the study database answers; nothing here imports torch."""

import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TypeVar

from mapsearch.core.details import StudyDetails, TrialDetails, TrialList, TrialOrder
from mapsearch.core.errors import DatabaseChanged, StoreError
from mapsearch.core.runs import FINISHED, Run, RunKey
from mapsearch.core.studies import DEFAULT_STORAGE, Study
from mapsearch.core.summaries import RunSummary, StudyEvent, StudyOverview, StudySummary
from mapsearch.core.trials import Trial
from mapsearch.report.html.comparison import StudyComparison
from mapsearch.report.html.comparison import compare_studies as side_by_side
from mapsearch.report.html.study_page import SHOWN_TRIALS
from mapsearch.report.shown_study import ShownStudy
from mapsearch.report.study_json import study_json
from mapsearch.store.store import Store

Answer = TypeVar("Answer")

FAILED = tuple(state for state in FINISHED if state != "complete")

MOST_RUNS_GROUPED = 20_000
"""Runs up to which a page looks for what failures have in common: a quarter of a second for 100,000."""

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


def overview(name: str, storage: str, n_best: int | None) -> StudyOverview:
    """The best proposals, the tuned recipes, the controls and the failures of a study; no other trial is loaded.

    Raises:
        StudyNotFound: no study of that name; close matches are named.
        StoreError: there is no study database, or another version of mapsearch stored the study.
    """
    return _answer(storage, lambda store: replace(store.best(name, n_best), failures=store.failures(name)))


def details(name: str, storage: str, n_best: int) -> StudyDetails:
    """A study as a page shows it: its overview, what its stages found and took, its search history.

    Its failures are grouped unless it has very many runs.

    Raises:
        StudyNotFound: no study of that name; close matches are named.
        StoreError: there is no study database, or another version of mapsearch stored the study.
    """

    def answer(store: Store) -> StudyDetails:
        found = store.details(name, n_best)
        if found.overview.n_runs > MOST_RUNS_GROUPED:
            return found
        return replace(found, overview=replace(found.overview, failures=store.failures(name)))

    return _answer(storage, answer)


def compare_studies(one: str, other: str, storage: str = DEFAULT_STORAGE) -> StudyComparison:
    """Two studies side by side: what came out, what it cost, and the settings that differ.

    Raises:
        StudyNotFound: no study of that name; close matches are named.
        StoreError: there is no study database, or another version of mapsearch stored a study.
    """
    return side_by_side(details(one, storage, SHOWN_TRIALS), details(other, storage, SHOWN_TRIALS))


def trial(name: str, number: int, storage: str) -> TrialDetails:
    """One trial with all of its runs and their attempts; where one of them failed, with the failures of the study.

    Raises:
        StudyNotFound: no study of that name, or it has no such trial.
        StoreError: there is no study database, or another version of mapsearch stored the study.
    """

    def answer(store: Store) -> TrialDetails:
        found = store.trial(name, number)
        if all(run.state not in FAILED for run in found.runs):
            return found
        return replace(found, study=replace(found.study, failures=store.failures(name)))

    return _answer(storage, answer)


def trial_list(
    name: str, storage: str, *, kind: str = "", order: TrialOrder = "number", offset: int = 0, limit: int = 50
) -> TrialList:
    """A page of the trials of a study.

    Args:
        kind: a proposer, or the name of a control; empty for every trial.

    Raises:
        StudyNotFound: no study of that name; close matches are named.
        StoreError: there is no study database, or another version of mapsearch stored the study.
    """
    return _answer(storage, lambda store: store.trial_list(name, kind=kind, order=order, offset=offset, limit=limit))


def heads(names: Sequence[str], storage: str) -> list[StudyOverview | StoreError]:
    """The studies without their trials; in place of one that cannot be read, why."""

    def head(store: Store, name: str) -> StudyOverview | StoreError:
        try:
            return store.page(name, limit=0)
        except StoreError as error:
            return error

    return _answer(storage, lambda store: [head(store, name) for name in names])


def show(name: str, storage: str = DEFAULT_STORAGE, *, after: int = -1, limit: int | None = None) -> ShownStudy:
    """Verdict, trials and cost of a study: the fields of `mapsearch show --json`, which a notebook shows as tables.

    Args:
        after: the trials with greater numbers only.
        limit: so many of them at most; None gives all.

    Raises:
        StudyNotFound: no study of that name; close matches are named.
        StoreError: there is no study database, or another version of mapsearch stored the study.
    """

    def answer(store: Store) -> ShownStudy:
        page = store.page(name, after=after, limit=limit)
        return ShownStudy(study_json(replace(page, failures=store.failures(name))))

    return _answer(storage, answer)


def study(name: str, storage: str) -> Study:
    """A study with what its stages found, and none of its trials and runs.

    Raises:
        StudyNotFound: no study of that name; close matches are named.
        StoreError: there is no study database.
    """
    return _answer(storage, lambda store: store.study(name))


def study_and_trials(name: str, storage: str) -> tuple[Study, list[Trial]]:
    """A study and all of its trials, without their runs.

    Raises:
        StudyNotFound: no study of that name; close matches are named.
        StoreError: there is no study database.
    """
    return _answer(storage, lambda store: (store.study(name), store.trials(name)))


def summary(name: str, storage: str) -> StudySummary:
    """A study as it stands in the list.

    Raises:
        StudyNotFound: no study of that name; close matches are named.
        StoreError: there is no study database.
    """
    return _answer(storage, lambda store: store.summary(name))


def events(name: str, storage: str, *, after: int = 0, limit: int | None = None) -> list[StudyEvent]:
    """What happened to a study, from the event after that one on, oldest first.

    Raises:
        StudyNotFound: no study of that name; close matches are named.
        StoreError: there is no study database.
    """
    return _answer(storage, lambda store: store.events(name, after=after, limit=limit))


def run_list(
    name: str, storage: str, *, of_trial: int | None = None, after: RunKey | None = None, limit: int | None = None
) -> list[RunSummary]:
    """The runs of a study without their curves, by trial, rung and seed; `after` is the last key of the page before.

    Raises:
        StudyNotFound: no study of that name; close matches are named.
        StoreError: there is no study database.
    """
    these = None if of_trial is None else [of_trial]
    return _answer(storage, lambda store: store.run_summaries(name, of_trials=these, after=after, limit=limit))


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
