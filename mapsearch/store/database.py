"""Transactions on the study database; a database that fails is a `StoreError`."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sqlalchemy import Connection, Engine, select
from sqlalchemy.exc import (
    DBAPIError,
    IntegrityError,
    InterfaceError,
    InternalError,
    OperationalError,
    ProgrammingError,
)

from mapsearch.core.errors import (
    DatabaseAway,
    DatabaseChanged,
    DatabaseFailed,
    DatabaseReplaced,
    StudyNotFound,
    did_you_mean,
)
from mapsearch.store.connect import corruption, failure_behind, reason, shown, sqlite_file
from mapsearch.store.schema import studies
from mapsearch.store.sqlite import ReadOnlyFile, file_identity, saved_copy


class Database:
    """Owns the engine. Every transaction raises `DatabaseFailed` when the database fails in it.

    Args:
        read_only_file: the file of an engine that only reads.
    """

    def __init__(self, engine: Engine, read_only_file: ReadOnlyFile | None = None) -> None:
        self._read_only_file = read_only_file
        self._reader = engine
        self._writer = engine.execution_options(writes=True)
        self._file = sqlite_file(engine.url)
        self._identity = self._file and file_identity(self._file)
        self._saved: Path | None = None

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
            with self._failures(), self._reader.connect() as db, db.begin():
                yield db
        finally:
            if self._read_only_file and self._read_only_file.has_changed():
                raise DatabaseChanged(f"{self._shown}: the study database changed while it was read; try again")

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that writes; it is rolled back when an error leaves it.

        One that fails is not tried again here: its commit may have arrived, and its writes would be made twice.

        Raises:
            DatabaseFailed: the database failed.
            DatabaseReplaced: its file was deleted or replaced: what is written to a deleted file is lost with the
                process. What it held is saved in another one.
        """
        with self._failures(), self._writer.connect() as db:
            with db.begin():
                yield db
                if not self._is_replaced():
                    return
                db.rollback()
            self._saved = self._saved or saved_copy(db, self._file or "")
            raise self._replaced()

    def compact(self) -> None:
        """Gives free pages of a SQLite file back; PostgreSQL does so by itself, and a file in use keeps them."""
        if self._file:
            with suppress(DBAPIError), self._reader.execution_options(isolation_level="AUTOCOMMIT").connect() as db:
                db.connection.execute("VACUUM")

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

    def _is_replaced(self) -> bool:
        return self._file is not None and file_identity(self._file) != self._identity

    def _replaced(self) -> DatabaseReplaced:
        saved = f"what it held is saved: move {self._saved} there" if self._saved else "put it back"
        return DatabaseReplaced(
            f"{self._shown}: the file of the study database was deleted or replaced while the study ran; "
            f"{saved} and run the same command to resume from it"
        )

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
            raise self._failure(error) from error

    def _failure(self, error: DBAPIError) -> DatabaseFailed:
        """Whether waiting helps: a driver's words alone tell a damaged database from one that is out of reach."""
        said = reason(error)
        if self._is_replaced():
            return self._replaced()
        if corrupt := corruption(self._reader.url, error):
            return corrupt
        if isinstance(error, (OperationalError, InterfaceError, InternalError)):
            return DatabaseAway(f"{self._shown}: the study database failed: {said}{DatabaseAway.WAY_OUT}")
        return DatabaseFailed(f"{self._shown}: the study database failed: {said}{DatabaseAway.WAY_OUT}")
