"""`Store` opens, creates and reads; who wants to write takes control of a study."""

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Any, Self
from uuid import uuid4

from sqlalchemy import Connection, insert, update
from sqlalchemy.exc import IntegrityError

from mapsearch.core.runs import Run, RunKey
from mapsearch.core.studies import Study
from mapsearch.core.summaries import RunSummary, StudyEvent, StudyOverview, StudySummary
from mapsearch.core.trials import Trial
from mapsearch.store.connect import connect, connect_to_read, from_anywhere
from mapsearch.store.database import Database
from mapsearch.store.handle import StudyHandle
from mapsearch.store.lease import take_lease
from mapsearch.store.overview import read_best, read_page
from mapsearch.store.reading import (
    read_events,
    read_run_summaries,
    read_runs,
    read_study,
    read_study_summaries,
    read_trials,
)
from mapsearch.store.renewal import HeldLease
from mapsearch.store.rows import now
from mapsearch.store.schema import studies, trials

LEASE_SECONDS = 60.0


class Store:
    """The study database at `url`; close it, or use it in a `with` statement.

    Every method that names a study raises `StudyNotFound` if there is none, with close matches and
    known names, and `StoreError` if the database fails.
    """

    def __init__(self, database: Database, url: str) -> None:
        self.url = from_anywhere(url)
        self._database = database

    @classmethod
    def open(cls, url: str, *, create_more: Callable[[str], None] | None = None) -> Self:
        """The database at that SQLAlchemy URL, made if it is missing and brought to this version's form.

        `create_more` makes other tables in the same database; processes that open it at once take turns.

        Raises:
            StoreError: the URL or the database cannot be used, or a newer mapsearch wrote it.
        """
        return cls(Database(connect(url, create_more=create_more)), url)

    @classmethod
    def open_to_read(cls, url: str) -> Self:
        """The database at that SQLAlchemy URL, for methods that only read; needs no permission to write.

        Raises:
            StoreError: there is no study database, or it is of another version and cannot be migrated.
        """
        engine, file = connect_to_read(url)
        return cls(Database(engine, file), url)

    def close(self) -> None:
        """Closes every connection."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def create_study(self, name: str, spec: dict[str, Any], *, folder: str, study_file: str) -> None:
        """Adds a study in state `queued`; one of that name that is there stays as it is.

        `folder` is where its task lies, `study_file` the text of the file as it was written.
        """
        row = {"name": name, "spec": spec, "folder": folder, "study_file": study_file, "state": "queued", "facts": {}}
        try:
            with self._database.writing() as db:
                db.execute(insert(studies).values(**row, id=uuid4().hex, created_at=now(), updated_at=now()))
        except IntegrityError:
            return  # the name is taken

    @contextmanager
    def control(self, name: str, *, lease_seconds: float = LEASE_SECONDS) -> Iterator[StudyHandle]:
        """Makes this process the only writer of the study for as long as the `with` statement lasts.

        The lease is renewed in the background. One that has expired, or whose process is provably
        dead, is taken over from its holder.

        Raises:
            StudyBusy: another process is the controller; says which and until when.
        """
        with self._database.writing() as db:
            lease = take_lease(db, self._database.id_of(db, name), lease_seconds)
        with HeldLease(self._database, lease) as held:
            yield StudyHandle(self._database, self.url, held)

    def request_stop(self, name: str) -> None:
        """Asks the study's controller, if there is one, to stop as Ctrl-C would."""
        with self._database.writing() as db:
            this = studies.c.id == self._database.id_of(db, name)
            db.execute(update(studies).where(this).values(stop_requested=True))

    def study(self, name: str) -> Study:
        """The study of that name."""
        with self._reading(name) as (db, study_id):
            return read_study(db, study_id)

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

    def best(self, name: str, n_best: int) -> StudyOverview:
        """The study with so many of its best proposals, the tuned recipes and every control.

        Raises:
            StoreError: its settings are not those of this version of mapsearch.
        """
        with self._reading(name) as (db, study_id):
            return read_best(db, study_id, n_best)

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
