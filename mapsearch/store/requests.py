"""What others than its controller may ask of a study: that it starts, that it stops."""

import socket

from sqlalchemy import Connection, select, update

from mapsearch.core.errors import StartWithdrawn, StudyBusy
from mapsearch.core.studies import StartRequest
from mapsearch.store.lease import holder, is_held
from mapsearch.store.rows import now
from mapsearch.store.schema import studies


def request_start(db: Connection, study_id: str, seeds: int | None) -> None:
    """Notes that the service is to start the study; an old request to stop is void.

    Raises:
        StudyBusy: it runs already.
    """
    row = db.execute(select(studies).where(studies.c.id == study_id).with_for_update()).mappings().one()
    if is_held(row):
        raise StudyBusy(f"{holder(row)}; stop it first")
    asked = {"start_requested": True, "seeds_requested": seeds, "stop_requested": False, "updated_at": now()}
    db.execute(update(studies).where(studies.c.id == study_id).values(**asked))


def void(db: Connection, study_id: str) -> None:
    """Forgets what was asked of the study: whoever begins to run it does so of their own accord."""
    nothing = {"start_requested": False, "seeds_requested": None, "stop_requested": False}
    db.execute(update(studies).where(studies.c.id == study_id).values(**nothing))


def accept_start(db: Connection, study_id: str) -> StartRequest:
    """Takes the request to start the study, which its holder then fulfils.

    A complete study that is to see more seeds is `queued` again: whoever looks at it follows it.

    Raises:
        StartWithdrawn: it was stopped, or another process took the request.
    """
    row = db.execute(select(studies).where(studies.c.id == study_id)).mappings().one()
    if not row["start_requested"]:
        raise StartWithdrawn(f"study `{row['name']}` is no longer to be started")
    void(db, study_id)
    if row["seeds_requested"] is not None:
        db.execute(update(studies).where(studies.c.id == study_id).values(state="queued"))
    return StartRequest(row["name"], row["folder"], row["seeds_requested"], row["lease_epoch"])


def request_stop(db: Connection, study_id: str) -> None:
    """Notes that the study is to stop: its controller learns of it, and where there is none, it is not started."""
    this = studies.c.id == study_id
    db.execute(update(studies).where(this).values(stop_requested=True, start_requested=False, seeds_requested=None))
    # Whoever holds one that is queued has not begun with it, and says so when it does.
    db.execute(update(studies).where(this, studies.c.state == "queued").values(state="stopped"))


def start_requests(db: Connection) -> list[StartRequest]:
    """The studies that are to be started, those that wait longest first."""
    c = studies.c
    asked = select(c.name, c.folder, c.seeds_requested, c.lease_epoch).where(c.start_requested)
    return [StartRequest(*row) for row in db.execute(asked.order_by(c.updated_at, c.name))]


def running_here(db: Connection) -> set[str]:
    """Names of the studies whose controller is a live process of this machine."""
    rows = db.execute(select(studies).where(studies.c.lease_host == socket.gethostname())).mappings()
    return {row["name"] for row in rows if is_held(row)}
