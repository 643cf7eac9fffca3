"""A study written once more under another name, inside a transaction that holds its lease."""

from uuid import uuid4

from sqlalchemy import Connection, Table, insert, literal, select

from mapsearch.core.studies import UNDER_WAY
from mapsearch.store.schema import attempts, events, runs, studies, trials

KEPT = ("study_file", "folder", "facts", "sentence", "n_expected", "note", "updated_at")
"""Columns of a study that its copy has too; nobody holds the copy, and nobody has asked it to start or stop."""


def copy_study(db: Connection, study_id: str, name: str, created_at: str) -> None:
    """Copies the study with its trials, runs, attempts and events; the name must be free."""
    original = db.execute(select(studies).where(studies.c.id == study_id)).mappings().one()
    new_id = uuid4().hex
    row = {
        **{column: original[column] for column in KEPT},
        "id": new_id,
        "name": name,
        "spec": {**original["spec"], "name": name},
        "state": "stopped" if original["state"] in UNDER_WAY else original["state"],
        "created_at": created_at,
    }
    db.execute(insert(studies).values(**row))
    for table in (trials, runs, attempts, events):
        _copy_rows(db, table, study_id, new_id)


def _copy_rows(db: Connection, table: Table, study_id: str, new_id: str) -> None:
    """The rows of the study under its copy's id; events are numbered anew."""
    kept = [column for column in table.columns if column.name not in ("study_id", "id")]
    rows = select(literal(new_id), *kept).where(table.c.study_id == study_id)
    order = [table.c.id] if "id" in table.c else []
    db.execute(insert(table).from_select(["study_id", *(column.name for column in kept)], rows.order_by(*order)))
