"""Transactions on the study database; a database that fails is a `StoreError`."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine, select
from sqlalchemy.exc import DBAPIError, IntegrityError, ProgrammingError

from mapsearch.core.errors import StoreError, StudyNotFound, did_you_mean
from mapsearch.store.connect import reason
from mapsearch.store.schema import studies


class Database:
    """Owns the engine. Every transaction raises `StoreError` when the database fails in it."""

    def __init__(self, engine: Engine) -> None:
        self._reader = engine
        self._writer = engine.execution_options(writes=True)

    def close(self) -> None:
        """Closes every connection."""
        self._reader.dispose()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that only reads."""
        with self._failures(), self._reader.begin() as db:
            yield db

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that writes; it is rolled back when an error leaves it."""
        with self._failures(), self._writer.begin() as db:
            yield db

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

    @property
    def _shown(self) -> str:
        return self._reader.url.render_as_string()

    @contextmanager
    def _failures(self) -> Iterator[None]:
        try:
            yield
        except (IntegrityError, ProgrammingError):
            raise  # ours to put right, not the user's
        except DBAPIError as error:
            raise StoreError(
                f"{self._shown}: the study database failed: {reason(error)}; "
                "when it can be reached again, the same command goes on"
            ) from error
