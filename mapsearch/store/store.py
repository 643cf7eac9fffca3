"""`Store` opens and creates, and reads as a `StoreReader`; who wants to write takes control of a study."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Self
from uuid import uuid4

from sqlalchemy import insert, update
from sqlalchemy.exc import IntegrityError

from mapsearch.core.studies import StartRequest
from mapsearch.core.text import storable
from mapsearch.store import requests
from mapsearch.store.connect import connect, connect_to_read, from_anywhere
from mapsearch.store.database import Database
from mapsearch.store.handle import StudyHandle
from mapsearch.store.lease import Lease, is_doubtful, is_held, take_lease
from mapsearch.store.renewal import HeldLease
from mapsearch.store.rows import now
from mapsearch.store.schema import studies
from mapsearch.store.store_reader import StoreReader
from mapsearch.store.watching import lease_row, wait_until_left, watch

LEASE_SECONDS = 60.0


class Store(StoreReader):
    """The study database at `url`; close it, or use it in a `with` statement.

    As in `StoreReader`, every method that names a study raises `StudyNotFound` if there is none, with close matches and
    known names, and `StoreError` if the database fails.
    """

    def __init__(self, database: Database, url: str) -> None:
        super().__init__(database)
        self.url = from_anywhere(url)

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

    def create_study(
        self, name: str, spec: dict[str, Any], *, folder: str, study_file: str, start_requested: bool = False,
        port_of: str | None = None,
    ) -> bool:  # fmt: skip
        """Adds a study in state `queued`; one of that name that is there stays as it is, and this gives False.

        Args:
            folder: where its task lies.
            study_file: the text of the file as it was written.
            start_requested: whether the service is to start it.
            port_of: the study that it is to begin with.
        """
        row = {
            "name": name, "spec": spec, "folder": folder, "study_file": study_file, "state": "queued", "facts": {},
            "start_requested": start_requested, "port_of": port_of,
        }  # fmt: skip
        try:
            with self._database.writing() as db:
                db.execute(insert(studies).values(**row, id=uuid4().hex, created_at=now(), updated_at=now()))
        except IntegrityError:
            return False  # the name is taken
        return True

    def doubtful_holder(self, name: str, *, lease_seconds: float = LEASE_SECONDS) -> str:
        """The process that may still have the study, so that `control` will watch it; empty where there is no doubt."""
        row = lease_row(self._database, name)
        return f"process {row['lease_pid']} on {row['lease_host']}" if is_doubtful(row, lease_seconds) else ""

    @contextmanager
    def control(self, name: str, *, lease_seconds: float = LEASE_SECONDS) -> Iterator[StudyHandle]:
        """Makes this process the study's controller: its only writer for as long as the `with` statement lasts.

        The lease is renewed in the background. One whose process is provably dead is taken over from its holder at
        once, any other that seems to have ended once it was not renewed for its length (`doubtful_holder`). What was
        asked of the study before is void.

        Raises:
            StudyBusy: another process is the controller; says which and until when.
        """
        is_taken = watch(self._database, name, lease_seconds)
        with self._database.writing() as db:
            lease = take_lease(db, self._database.id_of(db, name), lease_seconds, is_taken)
            requests.void(db, lease.study_id)
        with self._held(lease) as handle:
            yield handle

    @contextmanager
    def control_as_asked(
        self, name: str, *, lease_seconds: float = LEASE_SECONDS
    ) -> Iterator[tuple[StudyHandle, StartRequest]]:
        """`control` for whoever fulfils a request to start the study, in one transaction with it: one process alone.

        Raises:
            StartWithdrawn: nobody asks for it any longer.
            StudyBusy: another process is the controller; says which and until when.
        """
        is_taken = watch(self._database, name, lease_seconds)
        with self._database.writing() as db:
            lease = take_lease(db, self._database.id_of(db, name), lease_seconds, is_taken)
            request = requests.accept_start(db, lease.study_id)
        with self._held(lease) as handle:
            yield handle, request

    @contextmanager
    def maintain(self, name: str) -> Iterator[StudyHandle]:
        """`control` for whoever does not run the study: requests to start or stop it still stand afterwards.

        It goes by this host's clock, and waits for a controller that is about to leave only: a page waits for it.

        Raises:
            StudyBusy: another process is the controller; says which and until when.
        """
        wait_until_left(self._database, name)
        with self._database.writing() as db:
            lease = take_lease(db, self._database.id_of(db, name), LEASE_SECONDS, is_held)
        with self._held(lease) as handle:
            yield handle

    def request_start(self, name: str, *, seeds: int | None = None) -> None:
        """Asks the service to start the study, or to follow its open questions to so many fresh seeds.

        A controller that is about to leave is waited for.

        Raises:
            StudyBusy: it runs already.
        """
        wait_until_left(self._database, name)
        with self._database.writing() as db:
            requests.request_start(db, self._database.id_of(db, name), seeds)

    def request_stop(self, name: str) -> None:
        """Asks the study's controller to stop as Ctrl-C would; where there is none, the study is not started."""
        with self._database.writing() as db:
            requests.request_stop(db, self._database.id_of(db, name))

    def compact(self) -> None:
        """Gives what was freed in the database back to the disk, where nobody else uses it now."""
        self._database.compact()

    def set_note(self, name: str, note: str) -> None:
        """Replaces what people wrote about the study."""
        with self._database.writing() as db:
            this = studies.c.id == self._database.id_of(db, name)
            db.execute(update(studies).where(this).values(note=storable(note)))

    @contextmanager
    def _held(self, lease: Lease) -> Iterator[StudyHandle]:
        with HeldLease(self._database, lease) as held:
            yield StudyHandle(self._database, self.url, held)
