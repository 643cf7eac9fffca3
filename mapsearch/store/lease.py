"""The lease that makes one process the controller of a study, as rows of the database.

Clocks differ from host to host, and jump: who wants to take over goes by whether the lease is still renewed
(`watching.py`), who only looks on or keeps house compares its end with the own clock.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from sqlalchemy import ColumnElement, Connection, select, update

from mapsearch.core.errors import StudyBusy, StudyNotFound
from mapsearch.core.studies import ACTIVE
from mapsearch.store.process import Process, is_dead, this_process
from mapsearch.store.rows import now
from mapsearch.store.schema import studies

STATE_COLUMNS = [studies.c.state, studies.c.start_requested, *(c for c in studies.c if c.name.startswith("lease_"))]
"""What it takes to say how a study goes: by its own word, and by who holds it."""


@dataclass(frozen=True)
class Lease:
    """The right to write to a study; `epoch` counts the leases that the study has had."""

    study_id: str
    study: str
    owner: str
    epoch: int
    seconds: float


def take_lease(db: Connection, study_id: str, seconds: float, is_taken: Callable[[Mapping[Any, Any]], bool]) -> Lease:
    """Makes this process the one that writes to the study, for so many seconds; what was asked of it still stands.

    Args:
        is_taken: whether the study of this row is another process's: `is_held` by the clock, else what `watch` gives.

    Raises:
        StudyBusy: it is.
    """
    row = db.execute(select(studies).where(studies.c.id == study_id).with_for_update()).mappings().one()
    if is_taken(row):
        raise StudyBusy(f"{holder(row)}; wait for it, or stop that process")
    lease = Lease(study_id, row["name"], uuid4().hex, row["lease_epoch"] + 1, seconds)
    process = this_process()
    taken = {
        "lease_owner": lease.owner,
        "lease_epoch": lease.epoch,
        "lease_until": time.time() + seconds,
        "lease_host": process.host,
        "lease_pid": process.pid,
        "lease_boot_id": process.boot_id,
        "lease_pid_namespace": process.pid_namespace,
        "lease_process_started": process.started,
    }
    db.execute(update(studies).where(studies.c.id == study_id).values(**taken))
    return lease


def fence(db: Connection, lease: Lease) -> bool:
    """Lets the rest of the transaction write to the study, and says whether the study was asked to stop.

    An expired lease that nobody took still counts.

    Raises:
        StudyBusy: another process took over.
        StudyNotFound: the study was deleted.
    """
    return _update(db, lease, updated_at=now())


def renew_lease(db: Connection, lease: Lease) -> bool:
    """Lets the lease end its length from now; answers and raises as `fence` does."""
    return _update(db, lease, lease_until=time.time() + lease.seconds)


def drop_lease(db: Connection, lease: Lease) -> None:
    """Frees the study, if the lease is still its newest."""
    db.execute(update(studies).where(_is_current(lease)).values(lease_owner=None, lease_until=None))


def is_held(row: Mapping[Any, Any]) -> bool:
    """Whether the study of this row has a live controller, by the clock of this host."""
    return may_live(row) and row["lease_until"] > time.time()


def is_being_left(row: Mapping[Any, Any]) -> bool:
    """Whether the study has ended, but for what its controller does last, or is only kept house for."""
    return row["state"] not in ACTIVE and is_held(row)


def may_live(row: Mapping[Any, Any], unrenewed: float | None = None) -> bool:
    """Whether the study has a controller of which nothing shows that it ended.

    Args:
        unrenewed: the end of a lease that was watched in vain; a lease that ends then is no longer anybody's.
    """
    if row["lease_owner"] is None or row["lease_until"] == unrenewed:
        return False
    where = (row["lease_boot_id"], row["lease_pid_namespace"], row["lease_process_started"])
    return not is_dead(Process(row["lease_host"], row["lease_pid"], *where))


def is_doubtful(row: Mapping[Any, Any], seconds: float) -> bool:
    """Whether by this host's clock the lease has ended, or goes on for longer than leases of such a length do.

    One more length is let pass, for clocks that differ a little. No doubt is left where the process provably ended.
    """
    return may_live(row) and not 0 < row["lease_until"] - time.time() <= 2 * seconds


def _is_current(lease: Lease) -> ColumnElement[bool]:
    c = studies.c
    return (c.id == lease.study_id) & (c.lease_owner == lease.owner) & (c.lease_epoch == lease.epoch)


def _update(db: Connection, lease: Lease, **values: Any) -> bool:
    mine = update(studies).where(_is_current(lease)).values(**values)
    stop_requested: bool | None = db.scalar(mine.returning(studies.c.stop_requested))
    if stop_requested is None:
        raise _lost(db, lease)
    return stop_requested


def _lost(db: Connection, lease: Lease) -> StudyBusy | StudyNotFound:
    row = db.execute(select(studies).where(studies.c.id == lease.study_id)).mappings().one_or_none()
    if row is None:
        return StudyNotFound(f"study `{lease.study}` was deleted from the database while it ran")
    if row["lease_owner"] is None:
        return StudyBusy(f"study `{lease.study}`: another process took over; run the command again to resume")
    return StudyBusy(f"{holder(row)}, which took over from this process; let it finish")


def holder(row: Mapping[Any, Any]) -> str:
    """Which process has the study, and until when at least."""
    until = datetime.fromtimestamp(row["lease_until"], UTC).isoformat(timespec="seconds")
    return f"study `{row['name']}` is run by process {row['lease_pid']} on {row['lease_host']} until at least {until}"
