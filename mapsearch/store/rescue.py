"""What can still be read of a damaged SQLite file, copied into a new one: row by row, from both ends of each table."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from mapsearch.core.errors import StoreError
from mapsearch.store.connect import parse, shown, sqlite_file
from mapsearch.store.sqlite import new_file


def rescue(url: str, file: Path) -> dict[str, tuple[int, bool]]:
    """Copy the readable rows of every table, and give how many there were and whether those are all.

    Raises:
        StoreError: the database is not SQLite, not even its tables' names can be read, or `file` exists.
    """
    parsed = parse(url)
    path = sqlite_file(parsed)
    if path is None or not Path(path).is_file():
        raise StoreError(f"{shown(parsed)}: is no SQLite file; only those are rescued so")
    with closing(sqlite3.connect(f"{Path(path).as_uri()}?mode=ro", uri=True)) as source:
        source.text_factory = lambda data: data.decode(errors="replace")
        try:
            schema = source.execute("SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
        except sqlite3.DatabaseError as error:
            raise StoreError(f"{shown(parsed)}: nothing can be read of it: {error}; restore a backup") from None
        with new_file(file, shown(parsed)), closing(sqlite3.connect(file)) as target, target:
            tables = [(name, sql) for kind, name, sql in schema if kind == "table" and not name.startswith("sqlite_")]
            for _, sql in tables:
                target.execute(sql)
            counts = {name: _copy(source, target, name) for name, _ in tables}
            for sql in (sql for kind, _, sql in schema if kind == "index"):
                with suppress(sqlite3.IntegrityError):  # a unique index that the rescued rows break
                    target.execute(sql)
    return counts


def _copy(source: sqlite3.Connection, target: sqlite3.Connection, table: str) -> tuple[int, bool]:
    rows, whole = _readable(source, table)
    for rowid, *values in rows.values():
        names = ", ".join("?" * (len(values) + 1))
        columns = ", ".join(f'"{column[1]}"' for column in target.execute(f'PRAGMA table_info("{table}")'))
        target.execute(f'INSERT OR IGNORE INTO "{table}" (rowid, {columns}) VALUES ({names})', (rowid, *values))
    return len(rows), whole


def _readable(source: sqlite3.Connection, table: str) -> tuple[dict[int, tuple[Any, ...]], bool]:
    """The rows by their number: from the first to damage, and then from the last to damage."""
    rows: dict[int, tuple[Any, ...]] = {}
    for order in ("ASC", "DESC"):
        try:
            for row in _scan(source, table, order):
                rows[row[0]] = row
        except sqlite3.DatabaseError:
            continue
        return rows, order == "ASC"
    return rows, False


def _scan(source: sqlite3.Connection, table: str, order: str) -> Iterator[tuple[Any, ...]]:
    yield from source.execute(f'SELECT rowid, * FROM "{table}" NOT INDEXED ORDER BY rowid {order}')
