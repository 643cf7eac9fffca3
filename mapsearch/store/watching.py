"""A lease that clocks cannot judge is watched: a holder that lives renews it, whatever its clock says."""

import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from sqlalchemy import select

from mapsearch.store.database import Database
from mapsearch.store.lease import STATE_COLUMNS, is_being_left, is_doubtful, may_live
from mapsearch.store.schema import studies

LOOKS_PER_LEASE = 60
SECONDS_TO_LEAVE = 10.0
SECONDS_BETWEEN_LOOKS = 0.05


def watch(database: Database, name: str, seconds: float) -> Callable[[Mapping[Any, Any]], bool]:
    """Looks for the length of a lease, where there is doubt, whether it is renewed.

    Returns:
        Whether the study of a row is another process's, for `take_lease`.
    """
    first = lease_row(database, name)
    if not is_doubtful(first, seconds):
        return may_live
    until, end = first["lease_until"], time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(seconds / LOOKS_PER_LEASE)
        if lease_row(database, name)["lease_until"] != until:
            return may_live
    return partial(may_live, unrenewed=until)


def wait_until_left(database: Database, name: str) -> None:
    """Waits, a little while at most, until nobody has a study any more that has ended.

    A study is complete before its controller is gone, and people are quick.
    """
    end = time.monotonic() + SECONDS_TO_LEAVE
    while is_being_left(lease_row(database, name)) and time.monotonic() < end:
        time.sleep(SECONDS_BETWEEN_LOOKS)


def lease_row(database: Database, name: str) -> Mapping[Any, Any]:
    """The study's lease, and who holds it."""
    with database.reading() as db:
        this = studies.c.id == database.id_of(db, name)
        return db.execute(select(*STATE_COLUMNS).where(this)).mappings().one()
