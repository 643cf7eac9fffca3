"""`Store` opens, creates and reads; who wants to write takes control of a study."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self
from uuid import uuid4

from sqlalchemy import Engine, insert, select, update
from sqlalchemy.exc import IntegrityError

from mapsearch.core.runs import Run
from mapsearch.core.studies import Study
from mapsearch.core.trials import Trial
from mapsearch.store.connect import connect
from mapsearch.store.database import Database
from mapsearch.store.handle import StudyHandle
from mapsearch.store.lease import take_lease
from mapsearch.store.reading import read_runs, read_studies, read_trials
from mapsearch.store.renewal import HeldLease
from mapsearch.store.rows import now
from mapsearch.store.schema import events, studies

LEASE_SECONDS = 60.0


class Store:
    """The study database at `url`; close it, or use it in a `with` statement.

    Every method that names a study raises `StudyNotFound` if there is none, with close matches and
    known names, and `StoreError` if the database fails.
    """

    def __init__(self, engine: Engine, url: str) -> None:
        self.url = url
        self._database = Database(engine)

    @classmethod
    def open(cls, url: str, *, create: bool = True) -> Self:
        """The database at that SQLAlchemy URL, brought to this version's form; made if `create` and missing.

        Raises:
            StoreError: the URL or the database cannot be used, or a newer mapsearch wrote it.
        """
        return cls(connect(url, create=create), url)

    def close(self) -> None:
        """Closes every connection."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def create_study(self, name: str, spec: dict[str, Any], *, folder: str, study_file: str) -> None:
        """Adds a study in state `running`; one of that name that is there stays as it is.

        `folder` is where its task lies, `study_file` the text of the file as it was written.
        """
        row = {"name": name, "spec": spec, "folder": folder, "study_file": study_file, "state": "running", "facts": {}}
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
        with self._database.reading() as db:
            return read_studies(db, studies.c.id == self._database.id_of(db, name))[0]

    def studies(self) -> list[Study]:
        """Every study, newest first."""
        with self._database.reading() as db:
            return read_studies(db)

    def trials(self, name: str) -> list[Trial]:
        """Every trial of the study, by number."""
        with self._database.reading() as db:
            return read_trials(db, self._database.id_of(db, name))

    def runs(self, name: str) -> list[Run]:
        """Every run of the study, by trial, rung and seed."""
        with self._database.reading() as db:
            return read_runs(db, self._database.id_of(db, name))

    def events(self, name: str) -> list[tuple[str, str, str]]:
        """(UTC time, kind, message) of every event, oldest first."""
        with self._database.reading() as db:
            rows = select(events.c.at, events.c.kind, events.c.message)
            ordered = rows.where(events.c.study_id == self._database.id_of(db, name)).order_by(events.c.id)
            return [(at, kind, message) for at, kind, message in db.execute(ordered)]
