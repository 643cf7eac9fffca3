"""A lease that is held: renewed in the background, and asked for before every write."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Self

from sqlalchemy import Connection

from mapsearch.core.errors import StoreError, StudyBusy, StudyNotFound
from mapsearch.store.database import Database
from mapsearch.store.lease import Lease, drop_lease, fence, renew_lease

RENEWALS_PER_LEASE = 3
"""A lease outlives two renewals that fail or come late."""


class HeldLease:
    """While it is open, a thread with a connection of its own renews the lease, whatever else this process does.

    The thread stops when it finds that another process took over; what is asked of the lease then raises `StudyBusy`.
    """

    def __init__(self, database: Database, lease: Lease) -> None:
        self.lease = lease
        self._stop_requested = False
        self._lost: StudyBusy | StudyNotFound | None = None
        self._transaction: Connection | None = None
        self._database = database
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._renew, name=f"lease of {lease.study}", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closed.set()
        self._thread.join()
        with suppress(StoreError), self._database.writing() as db:  # what cannot be dropped expires
            drop_lease(db, self.lease)

    @property
    def stop_requested(self) -> bool:
        """Whether the study was asked to stop, as of the last write or renewal.

        Raises:
            StudyBusy: another process took over, as a renewal found.
            StudyNotFound: the study was deleted.
        """
        if self._lost is not None:
            raise self._lost
        return self._stop_requested

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction in which this process alone writes to the study; rolled back when an error leaves it.

        Inside another one it is a part of that: all of it is written, or nothing.

        Raises:
            StudyBusy: another process took over.
        """
        if self._transaction is not None:
            yield self._transaction
            return
        with self._database.writing() as db:
            self._stop_requested = fence(db, self.lease)
            try:
                self._transaction = db
                yield db
            finally:
                self._transaction = None

    @contextmanager
    def guarding(self) -> Iterator[None]:
        """Another library writes to the study database here, in transactions of its own.

        They cannot be fenced: the lease is asked for before them and after them, so that nothing is made of what
        was written while another process took over.

        Raises:
            StudyBusy: another process took over.
            DatabaseFailed: the database failed.
        """
        assert self._transaction is None, "the other library could wait for this transaction for ever"
        with self.writing():
            pass
        with self._database.failures_of_others():
            yield
        with self.writing():
            pass

    def _renew(self) -> None:
        while not self._closed.wait(self.lease.seconds / RENEWALS_PER_LEASE):
            try:
                with self._database.writing() as db:  # the next renewal is the next try
                    self._stop_requested = renew_lease(db, self.lease)
            except (StudyBusy, StudyNotFound) as error:
                self._lost = error
                return
            except StoreError:  # the database may be back at the next renewal; if not, the next write says so
                continue
