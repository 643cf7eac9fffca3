"""The lease that makes one process the controller of a study. Callers hold the study's row locked.

Hosts compare a lease's end with their own clocks, which must agree to well within its length.
"""

import os
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import uuid4

from sqlalchemy import Connection, select, update

from mapsearch.core.errors import StudyBusy
from mapsearch.store.schema import studies


@dataclass(frozen=True)
class Holder:
    """Who may hold a lease; `owner` tells apart two stores of one process."""

    owner: str
    host: str
    pid: int


def this_process() -> Holder:
    """A new holder in this process."""
    return Holder(uuid4().hex, socket.gethostname(), os.getpid())


def take_lease(db: Connection, study_id: str, holder: Holder, seconds: float) -> None:
    """Makes `holder` the controller for so many seconds from now.

    Raises:
        StudyBusy: another holder's lease has not expired, and its process may be alive.
    """
    lease = _lease(db, study_id)
    if lease.owner not in (None, holder.owner) and _is_live(lease, holder.host):
        raise StudyBusy(f"{_held(lease)}; wait for it, or stop that process")
    _extend(db, study_id, holder, seconds)


def renew_lease(db: Connection, study_id: str, holder: Holder, seconds: float) -> None:
    """Lets the holder's lease end so many seconds from now.

    Raises:
        StudyBusy: the lease is no longer this holder's.
    """
    lease = _lease(db, study_id)
    if lease.owner is None:
        raise StudyBusy(f"study `{lease.study}`: this process holds no lease on it; run it again to go on")
    if lease.owner != holder.owner:
        raise StudyBusy(f"{_held(lease)}, which took over from this process; leave the study to it")
    _extend(db, study_id, holder, seconds)


def drop_lease(db: Connection, study_id: str, holder: Holder) -> None:
    """Frees the study if this holder has it."""
    mine = (studies.c.id == study_id) & (studies.c.lease_owner == holder.owner)
    db.execute(update(studies).where(mine).values(lease_owner=None, lease_host=None, lease_pid=None, lease_until=None))


def is_held(row: Mapping[Any, Any]) -> bool:
    """Whether a live process holds the study of this row."""
    lease = _Lease(row["name"], row["lease_owner"], row["lease_host"], row["lease_pid"], row["lease_until"])
    return _is_live(lease, socket.gethostname())


class _Lease(NamedTuple):
    study: str
    owner: str | None
    host: str | None
    pid: int | None
    until: float | None


def _lease(db: Connection, study_id: str) -> _Lease:
    c = studies.c
    columns = select(c.name, c.lease_owner, c.lease_host, c.lease_pid, c.lease_until)
    return _Lease(*db.execute(columns.where(c.id == study_id)).one())


def _extend(db: Connection, study_id: str, holder: Holder, seconds: float) -> None:
    db.execute(
        update(studies)
        .where(studies.c.id == study_id)
        .values(
            lease_owner=holder.owner,
            lease_host=holder.host,
            lease_pid=holder.pid,
            lease_until=time.time() + seconds,
        )
    )


def _is_live(lease: _Lease, host: str) -> bool:
    if lease.until is None or lease.until <= time.time():
        return False
    return lease.host != host or lease.pid is None or _is_process(lease.pid)


def _is_process(pid: int) -> bool:
    if os.name == "nt":  # signal 0 would end the process there
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _held(lease: _Lease) -> str:
    until = datetime.fromtimestamp(lease.until or 0, UTC).isoformat(timespec="seconds")
    return f"study `{lease.study}` is run by process {lease.pid} on {lease.host} until at least {until}"
