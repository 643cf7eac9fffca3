"""A study database moved to another one, every number kept: ours by our schema, Optuna's as its tables are found."""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from sqlalchemy import URL, Connection, Engine, Integer, MetaData, RowMapping, Table, func, insert, select, text
from sqlalchemy.exc import DBAPIError

from mapsearch.core.errors import DatabaseChanged, DatabaseFailed, StoreError
from mapsearch.store.connect import connect, connect_to_read, corrupt, corruption, reason, remedy, shown
from mapsearch.store.lease import is_held
from mapsearch.store.schema import METADATA, PREFIX, studies
from mapsearch.store.sqlite import new_file

ROWS_AT_ONCE = 500


def backup(url: str, file: Path) -> None:
    """A copy of a SQLite database as it is at this moment, taken beside whoever writes to it.

    Raises:
        StoreError: the database is not SQLite, the file exists, or it cannot be written.
        DatabaseCorrupt: the database is damaged, and so would be its copy.
    """
    engine, source = connect_to_read(url)
    engine.dispose()
    if source is None:
        raise StoreError(f"{shown(engine.url)}: only SQLite is backed up so; use `pg_dump`, or `mapsearch db copy`")
    with new_file(file, shown(engine.url)):
        with closing(source.connect()) as original, closing(sqlite3.connect(file)) as copy:
            original.backup(copy)
            problem = " ".join(str(copy.execute("PRAGMA quick_check(1)").fetchone()[0]).split())
        if problem != "ok":
            raise corrupt(engine.url, problem)
        if source.has_changed():
            raise DatabaseChanged(f"{shown(engine.url)}: the study database changed while it was copied; try again")


def copy_database(url: str, to: str, *, create_more: Callable[[str], None]) -> dict[str, int]:
    """Copy every study into a database without any, and give the number of rows of each table.

    Args:
        create_more: makes the sampler's tables in the new database.

    Raises:
        StoreError: a study is running, the target holds studies, or either database cannot be used.
        DatabaseFailed: either database failed meanwhile; nothing was copied.
    """
    engine, _ = connect_to_read(url)
    target = connect(to, create_more=create_more)
    try:
        with _failing(target.url), _snapshot(engine) as source, target.execution_options(writes=True).begin() as into:
            _check(source, into)
            counts = {table.name: _copy(source, into, table) for table in METADATA.sorted_tables}
            theirs, found = MetaData(), MetaData()
            theirs.reflect(into, only=lambda name, _: not _is_ours_or_a_version(name))
            with _failing(engine.url):
                found.reflect(source, only=lambda name, _: name in theirs.tables)
            for table in theirs.sorted_tables:
                if table.name in found.tables:
                    counts[table.name] = _copy(source, into, table, found.tables[table.name])
            return counts
    finally:
        engine.dispose()
        target.dispose()


@contextmanager
def _failing(url: URL) -> Iterator[None]:
    """What fails here is the database at `url`."""
    try:
        yield
    except DBAPIError as error:
        failed = DatabaseFailed(f"{shown(url)}: the study database failed: {reason(error)}; nothing was copied")
        raise corruption(url, error) or failed from None


@contextmanager
def _snapshot(engine: Engine) -> Iterator[Connection]:
    """A transaction that sees nothing of what is written meanwhile."""
    level = {"isolation_level": "REPEATABLE READ"} if engine.dialect.name == "postgresql" else {}
    with engine.connect().execution_options(**level) as db, db.begin():
        yield db


def _check(source: Connection, into: Connection) -> None:
    with _failing(source.engine.url):
        held = [row["name"] for row in source.execute(select(studies)).mappings() if is_held(row)]
    if held:
        raise StoreError(f"the study `{held[0]}` is running; stop it, copy, and run it again in the new database")
    if into.scalar(select(func.count()).select_from(studies)):
        raise StoreError(f"{shown(into.engine.url)}: holds studies already; name a database without any")


def _is_ours_or_a_version(name: str) -> bool:
    return name.startswith(PREFIX) or name in ("alembic_version", "version_info")


def _copy(source: Connection, into: Connection, table: Table, original: Table | None = None) -> int:
    """Copy the rows of a table; counters of the new database go on behind them."""
    n = 0
    for part in _parts(source, table if original is None else original):
        into.execute(insert(table), [dict(row) for row in part])
        n += len(part)
    (key, *others) = table.primary_key.columns
    if n and not others and isinstance(key.type, Integer) and into.dialect.name == "postgresql":
        sequence = func.pg_get_serial_sequence(table.name, key.name)
        into.execute(select(func.setval(sequence, select(func.max(key)).scalar_subquery())))
    return n


def _parts(source: Connection, table: Table) -> Iterator[Sequence[RowMapping]]:
    """The rows of a table, some at a time."""
    with _failing(source.engine.url):
        rows = source.execution_options(yield_per=ROWS_AT_ONCE).execute(select(table))
        yield from rows.mappings().partitions(ROWS_AT_ONCE)


def integrity(url: str) -> list[str]:
    """What is wrong with a database that can be opened: damaged pages, rows whose study or trial is missing."""
    engine, _ = connect_to_read(url)
    damage, lost = list[str](), list[str]()
    try:
        with engine.connect() as db:
            if engine.dialect.name == "sqlite":
                told = [str(row[0]) for row in db.execute(text("PRAGMA integrity_check"))]
                damage += [f"damaged: {line}" for line in told if line != "ok"]
            for table in METADATA.sorted_tables:
                if "study_id" in table.c:
                    orphans = select(func.count()).where(table.c.study_id.not_in(select(studies.c.id)))
                    n = db.scalar(orphans.select_from(table)) or 0
                    lost += [f"{table.name}: {n} rows of studies that are not there"] if n else []
    except DBAPIError as error:  # some damage ends the look itself
        damage.append(f"damaged: {reason(error)}")
    finally:
        engine.dispose()
    if damage:
        damage[-1] += f"; {remedy(engine.url)}"
    return [*damage, *lost]
