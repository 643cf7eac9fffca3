"""What is read of a study database: each method is a transaction of its own."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager

from sqlalchemy import Connection

from mapsearch.core.details import StudyDetails, TrialDetails, TrialList, TrialOrder
from mapsearch.core.failures import FailureGroup
from mapsearch.core.runs import Run, RunKey
from mapsearch.core.studies import StartRequest, Study
from mapsearch.core.summaries import RunSummary, StudyEvent, StudyOverview, StudySummary
from mapsearch.core.trials import Trial
from mapsearch.store import curves, requests
from mapsearch.store.database import Database
from mapsearch.store.details import read_details
from mapsearch.store.failures import read_failures
from mapsearch.store.overview import read_best, read_page
from mapsearch.store.reading import (
    read_events,
    read_run_summaries,
    read_runs,
    read_study,
    read_study_summaries,
    read_trials,
)
from mapsearch.store.rows import undamaged
from mapsearch.store.schema import studies, trials
from mapsearch.store.trial_pages import read_trial, read_trial_list


class StoreReader:
    """The half of `Store` that changes nothing.

    Every method that names a study raises `StudyNotFound` if there is none, with close matches and
    known names, and `StoreError` if the database fails.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def start_requests(self) -> list[StartRequest]:
        """The studies that are to be started, those that wait longest first."""
        with self._database.reading() as db:
            return requests.start_requests(db)

    def running_here(self) -> set[str]:
        """Names of the studies whose controller is a live process of this machine."""
        with self._database.reading() as db:
            return requests.running_here(db)

    def id_of(self, name: str) -> str:
        """What the study is known by, whatever it is called."""
        with self._reading(name) as (_, study_id):
            return study_id

    def curve_bytes(self, name: str) -> int:
        """Bytes of the loss curves of the study's runs, as they are stored."""
        with self._reading(name) as (db, study_id):
            return curves.n_bytes(db, study_id)

    def study(self, name: str) -> Study:
        """The study of that name."""
        with self._reading(name) as (db, study_id):
            return read_study(db, study_id)

    def summary(self, name: str) -> StudySummary:
        """The study as it stands in the list."""
        with self._reading(name) as (db, study_id):
            return read_study_summaries(db, studies.c.id == study_id)[0]

    def studies(self) -> list[StudySummary]:
        """Every study, newest first."""
        with self._database.reading() as db:
            return read_study_summaries(db)

    def trials(self, name: str, *, numbers: Collection[int] | None = None) -> list[Trial]:
        """The study's trials, by number.

        Args:
            numbers: these trials only.
        """
        these = [] if numbers is None else [trials.c.number.in_(numbers)]
        with self._reading(name) as (db, study_id):
            return read_trials(db, study_id, *these)

    def page(self, name: str, *, after: int = -1, limit: int | None = None) -> StudyOverview:
        """The study with its trials whose numbers are above `after`, by number; the first `limit` of them.

        Raises:
            StoreError: its settings are not those of this version of mapsearch.
        """
        with self._reading(name) as (db, study_id):
            return read_page(db, study_id, after=after, limit=limit)

    def best(self, name: str, n_best: int | None) -> StudyOverview:
        """The study with so many of its best proposals, the tuned recipes and every control.

        Raises:
            StoreError: its settings are not those of this version of mapsearch.
        """
        with self._reading(name) as (db, study_id):
            return read_best(db, study_id, n_best)

    def failures(self, name: str) -> tuple[FailureGroup, ...]:
        """The study's failed runs by what they have in common, the largest group first."""
        with self._reading(name) as (db, study_id), undamaged(trials, name):
            return read_failures(db, study_id)

    def details(self, name: str, n_best: int) -> StudyDetails:
        """The study as a page shows it, with so many of its best proposals, the tuned recipes and every control.

        Raises:
            StoreError: its settings are not those of this version of mapsearch.
        """
        with self._reading(name) as (db, study_id):
            return read_details(db, study_id, n_best)

    def trial(self, name: str, number: int) -> TrialDetails:
        """One trial with all of its runs and their attempts; `StudyNotFound` if the study has none of that number."""
        with self._reading(name) as (db, study_id):
            return read_trial(db, study_id, number)

    def trial_list(self, name: str, *, kind: str, order: TrialOrder, offset: int, limit: int) -> TrialList:
        """A page of trials: those of a proposer or control (`kind`; empty for all), in that order."""
        with self._reading(name) as (db, study_id):
            return read_trial_list(db, study_id, kind=kind, order=order, offset=offset, limit=limit)

    def runs(self, name: str, *, of_trials: Collection[int] | None = None) -> list[Run]:
        """The runs of the study with all of their results, by trial, rung and seed.

        Args:
            of_trials: the runs of these trials only.
        """
        with self._reading(name) as (db, study_id):
            return read_runs(db, study_id, of_trials=of_trials)

    def run_summaries(
        self, name: str, *, of_trials: Collection[int] | None = None, after: RunKey | None = None,
        limit: int | None = None,
    ) -> list[RunSummary]:  # fmt: skip
        """The study's runs without their results, by trial, rung and seed; `after` is the last key of the page before.

        Args:
            of_trials: the runs of these trials only.
        """
        with self._reading(name) as (db, study_id):
            return read_run_summaries(db, study_id, of_trials=of_trials, after=after, limit=limit)

    def events(self, name: str, *, after: int = 0, limit: int | None = None) -> list[StudyEvent]:
        """The study's events with ids above `after`, oldest first; the first `limit` of them."""
        with self._reading(name) as (db, study_id):
            return read_events(db, study_id, after=after, limit=limit)

    @contextmanager
    def _reading(self, name: str) -> Iterator[tuple[Connection, str]]:
        with self._database.reading() as db:
            yield db, self._database.id_of(db, name)
