"""From a URL to an engine whose database has our tables; every way this can go wrong is a `StoreError`."""

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, func, inspect, make_url, select, text
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError

from mapsearch.core.errors import NoDatabase, StoreError
from mapsearch.store.schema import HEAD, VERSION_TABLE

if sys.platform != "win32":
    import fcntl

_KNOWN = "`sqlite:///FILE.db` and `postgresql+psycopg://USER@HOST/DATABASE` are known"
# any numbers that other users of the same PostgreSQL database do not lock
_CREATION_LOCK, _MIGRATION_LOCK = 0x6D617072, 0x6D617073


def connect(url: str, *, create: bool, create_more: Callable[[str], None] | None = None) -> Engine:
    """An engine on the database at `url`, migrated to this version; `create` makes it if there is none.

    `create_more` makes other tables in the same database, such as the sampler's. Only one process at a
    time creates and migrates.

    A transaction of `engine.execution_options(writes=True)` holds SQLite's write lock from its
    start, so that nothing changes between its reads and its writes.

    Raises:
        StoreError: the URL or the database cannot be used.
    """
    parsed = _parse(url)
    if not create and parsed.get_backend_name() == "sqlite" and not os.path.exists(parsed.database or ""):
        raise _no_database(parsed)
    engine = _engine(parsed)
    try:
        if create_more is None:
            _migrate(engine, create=create)
        else:
            with _creating_alone(engine):
                _migrate(engine, create=create)
                create_more(url)
    except DBAPIError as error:
        raise StoreError(
            f"{shown(parsed)}: the study database cannot be used: {reason(error)}; "
            "check the URL given by --storage or MAPSEARCH_STORAGE"
        ) from None
    finally:
        engine.dispose()  # it connects again at first use; a database that cannot be used leaves nothing open
    return engine


def reason(error: DBAPIError) -> str:
    """What the database driver said, on one line."""
    return " ".join(str(error.orig).split())


def shown(url: URL) -> str:
    """The URL for messages: without its password and its parameters, which may hold another one."""
    return url.set(query={}).render_as_string()


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):  # the message must not show a password that could not be found
        raise StoreError(f"the storage must be a database URL; {_KNOWN}") from None
    if parsed.get_backend_name() not in ("sqlite", "postgresql"):
        raise StoreError(f"{shown(parsed)}: no such kind of study database; {_KNOWN}")
    if parsed.get_backend_name() == "postgresql" and "@" in f"{parsed.host}{parsed.database}":
        raise StoreError(
            "the storage URL has more than one `@`: a password's own characters must be written as in a URL, "
            "`@` as %40, `/` as %2F, `:` as %3A"
        )
    if parsed.get_backend_name() == "sqlite" and parsed.database in (None, "", ":memory:"):
        raise StoreError(f"{shown(parsed)}: a study must outlive its process; give a file: `sqlite:///mapsearch.db`")
    folder = os.path.dirname(parsed.database or "")
    if parsed.get_backend_name() == "sqlite" and folder and not os.path.isdir(folder):
        raise StoreError(f"{shown(parsed)}: the folder `{folder}` does not exist; make it, or give another file")
    return parsed


def _engine(url: URL) -> Engine:
    is_sqlite = url.get_backend_name() == "sqlite"
    try:
        engine = create_engine(
            url,
            pool_pre_ping=True,
            json_serializer=partial(json.dumps, allow_nan=False),
            connect_args={"timeout": 60} if is_sqlite else {},
        )
    except ModuleNotFoundError as error:
        raise StoreError(
            f"{shown(url)}: the driver `{error.name}` is not installed; `pip install 'mapsearch[postgres]'`"
        ) from None
    except NoSuchModuleError:
        raise StoreError(f"{shown(url)}: no such database driver; {_KNOWN}") from None
    if is_sqlite:
        event.listen(engine, "connect", _set_up_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    return engine


def _set_up_sqlite(connection: Any, _: Any) -> None:
    # Foreign keys stay unenforced: with them on, a migration that rebuilds `mapsearch_studies`
    # (copy, drop, rename) would delete the rows of every other table.
    connection.isolation_level = None  # the driver must not begin transactions on its own
    try:
        _use_write_ahead_log(connection)
        connection.execute("PRAGMA synchronous=NORMAL")
    except Exception:
        connection.close()
        raise


def _use_write_ahead_log(connection: Any, patience: float = 60.0) -> None:
    # Several processes may meet at a new file. SQLite does not wait for its busy timeout when the
    # journal changes hands, so the waiting is done here.
    started = time.monotonic()
    while connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except connection.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() - started > patience:
                raise
            time.sleep(0.02)


def _begin_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.get_execution_options().get("writes") else "BEGIN")


def _migrate(engine: Engine, *, create: bool) -> None:
    with engine.begin() as db:
        version = _version(db)
    if version == HEAD:
        return
    if version is None and not create:
        raise _no_database(engine.url)
    # Alembic costs a third of a second to import, which `mapsearch show` need not pay.
    from mapsearch.store.migrations import upgrade

    with engine.execution_options(writes=True).begin() as db:
        if engine.dialect.name == "postgresql":
            db.execute(select(func.pg_advisory_xact_lock(_MIGRATION_LOCK)))
        if _version(db) != HEAD:  # another process may have been faster
            upgrade(db)


@contextmanager
def _creating_alone(engine: Engine) -> Iterator[None]:
    """Keeps other processes from creating tables meanwhile, those of other libraries too."""
    if engine.dialect.name == "postgresql":
        with engine.connect() as db:
            db.execute(select(func.pg_advisory_lock(_CREATION_LOCK)))
            try:
                yield
            finally:
                db.execute(select(func.pg_advisory_unlock(_CREATION_LOCK)))
    elif sys.platform == "win32":  # it cannot lock a folder
        yield
    else:
        # The lock is the folder's: a lock file would stay behind, and one on the database would undo SQLite's own.
        folder = os.open(os.path.dirname(engine.url.database or "") or ".", os.O_RDONLY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            yield
        finally:
            os.close(folder)


def _version(db: Connection) -> str | None:
    if not inspect(db).has_table(VERSION_TABLE):
        return None
    version: str | None = db.scalar(text(f"SELECT version_num FROM {VERSION_TABLE}"))
    return version


def _no_database(url: URL) -> NoDatabase:
    return NoDatabase(f"no study database at {shown(url)}; `mapsearch run STUDY.yaml` creates it")
