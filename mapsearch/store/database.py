"""Transactions on the study database; a database that fails is a `StoreError`."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine, select
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError, ProgrammingError

from mapsearch.core.errors import DatabaseChanged, DatabaseFailed, StudyNotFound, did_you_mean
from mapsearch.store.connect import failure_behind, reason, shown, sqlite_file
from mapsearch.store.schema import studies
from mapsearch.store.sqlite import ReadOnlyFile, file_identity

WAITS_SECONDS = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
"""How long to wait before each further try to reach a server."""


class Database:
    """Owns the engine. Every transaction raises `DatabaseFailed` when the database fails in it.

    Args:
        read_only_file: the file of an engine that only reads.
    """

    def __init__(self, engine: Engine, read_only_file: ReadOnlyFile | None = None) -> None:
        self._read_only_file = read_only_file
        self.outage_seconds = 0.0
        """How long transactions waited for a server out of reach, until it was told of."""
        self._reader = engine
        self._writer = engine.execution_options(writes=True)
        self._file = sqlite_file(engine.url)
        self._identity = self._file and file_identity(self._file)

    def close(self) -> None:
        """Closes every connection."""
        self._reader.dispose()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that only reads.

        Raises:
            DatabaseChanged: the database was at rest, and somebody wrote to it meanwhile: what was read is no good.
        """
        try:
            with self._failures(), self._connect(self._reader) as db, db.begin():
                yield db
        finally:
            if self._read_only_file and self._read_only_file.has_changed():
                raise DatabaseChanged(f"{self._shown}: the study database changed while it was read; try again")

    @contextmanager
    def writing(self, *, waits: bool = True) -> Iterator[Connection]:
        """A transaction that writes; it is rolled back when an error leaves it.

        Args:
            waits: whether to wait for a server that cannot be reached.

        Raises:
            DatabaseFailed: the database failed, or its file was deleted or replaced: what is written to a
                deleted file is lost with the process.
        """
        with self._failures(), self._connect(self._writer, waits=waits) as db, db.begin():
            yield db
            if self._file and file_identity(self._file) != self._identity:
                raise DatabaseFailed(
                    f"{self._shown}: the file of the study database was deleted or replaced while the study ran; "
                    "put it back and run the same command to resume from it"
                )

    def id_of(self, db: Connection, name: str) -> str:
        """The id of the study of that name.

        Raises:
            StudyNotFound: there is none.
        """
        study_id: str | None = db.scalar(select(studies.c.id).where(studies.c.name == name))
        if study_id is None:
            raise self.not_found(db, name)
        return study_id

    def not_found(self, db: Connection, name: str) -> StudyNotFound:
        """The error that names what there is instead."""
        known = list(db.scalars(select(studies.c.name).order_by(studies.c.created_at.desc())))
        listed = f"; the newest are {', '.join(known[:10])}" if known else "; `mapsearch run STUDY.yaml` starts one"
        return StudyNotFound(f"no study `{name}` in {self._shown}{did_you_mean(name, known) or listed}")

    def _connect(self, engine: Engine, *, waits: bool = True) -> Connection:
        """A connection; a server that restarts is waited for, about a minute in all.

        A connection that was lost since its last transaction is replaced here, too. A transaction that
        fails after it began is not tried again: its commit may have arrived, and its writes would be
        made twice. Run again, the study resumes from what the database holds.
        """
        for seconds in WAITS_SECONDS if waits and self._file is None else ():
            try:
                return engine.connect()
            except OperationalError:
                time.sleep(seconds)
                self.outage_seconds += seconds
        return engine.connect()

    @property
    def _shown(self) -> str:
        return shown(self._reader.url)

    @contextmanager
    def failures_of_others(self) -> Iterator[None]:
        """Another library uses the same database here: where that fails it, the error is told as one of ours.

        Raises:
            DatabaseFailed: the database failed.
        """
        try:
            yield
        except Exception as error:
            with self._failures():
                raise failure_behind(error) or error from None

    @contextmanager
    def _failures(self) -> Iterator[None]:
        try:
            yield
        except (IntegrityError, ProgrammingError):
            raise  # ours to put right, not the user's
        except DBAPIError as error:
            raise DatabaseFailed(
                f"{self._shown}: the study database failed: {reason(error)}; {_way_out(error)}"
            ) from error


RESTORE = "restore a backup"


def _way_out(error: DBAPIError) -> str:
    damaged = ("malformed", "not a database", "corrupt")
    return (
        RESTORE if any(word in reason(error) for word in damaged) else "once it can be reached, run the command again"
    )
