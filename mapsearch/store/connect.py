"""From a URL to an engine whose database has our tables; every way this can go wrong is a `StoreError`."""

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, func, inspect, make_url, select, text
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError
from sqlalchemy.pool import NullPool

from mapsearch.core.errors import DatabaseCorrupt, NoDatabase, StoreError
from mapsearch.store.schema import HEAD, VERSION_TABLE
from mapsearch.store.sqlite import ReadOnlyFile, WrittenFile, is_writable, set_up_reading, set_up_writing

if sys.platform != "win32":
    import fcntl

_KNOWN = "`sqlite:///FILE.db` and `postgresql+psycopg://USER@HOST/DATABASE` are known"
NO_DATABASE = "file is not a database"
DAMAGED = ("malformed", NO_DATABASE, "corrupt", "invalid page")
IDLE_SECONDS = 60.0
"""How long a PostgreSQL server waits for a process that stands still in the middle of a transaction: it holds rows."""

NETWORK_TIMEOUTS = {
    "keepalives_idle": "30", "keepalives_interval": "10", "keepalives_count": "3", "tcp_user_timeout": "60000",
}  # fmt: skip
"""What libpq is told unless the URL says otherwise: a network that drops packets fails in a minute, not in hours."""

# any numbers that other users of the same PostgreSQL database do not lock
_CREATION_LOCK, _MIGRATION_LOCK = 0x6D617072, 0x6D617073


def connect(url: str, *, create_more: Callable[[str], None] | None = None) -> Engine:
    """An engine on the database at `url`, made if there is none and migrated to this version.

    `create_more` makes other tables in the same database, such as the sampler's. Only one process at a
    time creates and migrates.

    A transaction of `engine.execution_options(writes=True)` holds SQLite's write lock from its
    start, so that nothing changes between its reads and its writes.

    Raises:
        StoreError: the URL or the database cannot be used.
    """
    parsed = parse(url)
    options: dict[str, Any] = {"creator": WrittenFile(parsed.database or "").connect} if _is_sqlite(parsed) else {}
    engine = _engine(parsed, **options)
    if _is_sqlite(parsed):
        set_up_writing(engine)
    else:
        event.listen(engine, "connect", _limit_idling)
    with _usable(engine):
        if create_more is None:
            _migrate(engine)
        else:
            with _creating_alone(engine):
                _migrate(engine)
                create_more(from_anywhere(url))
    return engine


def connect_to_read(url: str) -> tuple[Engine, ReadOnlyFile | None]:
    """An engine that only reads, and its file if it has one; nothing is written but a migration that is due.

    Raises:
        StoreError: there is no study database, or it is of another version and cannot be migrated.
    """
    parsed = parse(url)
    file = ReadOnlyFile(parsed.database) if _is_sqlite(parsed) and parsed.database else None
    if file is None:
        engine = _engine(parsed)
    elif not os.path.exists(parsed.database or ""):
        raise _no_database(parsed)
    else:
        engine = _engine(parsed, creator=file.connect, poolclass=NullPool)
        set_up_reading(engine)
    if file is not None and file.needs_writing():
        raise StoreError(
            f"{shown(parsed)}: the log beside it holds what a process that was killed wrote last, and reading "
            "it needs write permission; copy both files to a folder of yours, and read the copy"
        )
    with _usable(engine), engine.connect() as db:
        version = _version(db)
    if version is None:
        raise _no_database(parsed)
    if version != HEAD:
        _migrate_to_read(parsed, version)
    return engine, file


def _migrate_to_read(url: URL, version: str) -> None:
    if _is_sqlite(url) and not is_writable(url.database or ""):
        raise StoreError(
            f"{shown(url)}: the study database has form {version}, this mapsearch reads form {HEAD}, and the file "
            "cannot be brought to it without write permission; copy it to a folder of yours, and read the copy"
        )
    connect(url.render_as_string(hide_password=False)).dispose()


@contextmanager
def _usable(engine: Engine) -> Iterator[None]:
    """Database errors say that the database cannot be used; nothing stays open, as an engine connects again."""
    try:
        yield
    except Exception as error:
        failed = failure_behind(error)
        if failed is None:
            raise
        damage = corruption(engine.url, failed)
        if damage and NO_DATABASE not in reason(failed):  # which a mistaken URL is the likelier cause of
            raise damage from None
        raise StoreError(
            f"{shown(engine.url)}: the study database cannot be used: {reason(failed)}; {_way_out(engine.url, failed)}"
            + ("; if it is right, `mapsearch db rescue FILE` copies what can still be read" if damage else "")
        ) from None
    finally:
        engine.dispose()


def _way_out(url: URL, failed: DBAPIError) -> str:
    file = sqlite_file(url)
    if "full" in reason(failed):
        return "free space on its disk"
    if file is not None and os.path.exists(os.path.dirname(file)) and not is_writable(file):
        return "its file and the folder of that must be writable; copy it to a folder of yours, and use the copy"
    return "check its URL, which --storage or MAPSEARCH_STORAGE gives"


def corruption(url: URL, error: DBAPIError) -> DatabaseCorrupt | None:
    """The error that says that the database is damaged, if that is what its driver's words mean."""
    return corrupt(url, reason(error)) if any(word in reason(error) for word in DAMAGED) else None


def corrupt(url: URL, said: str) -> DatabaseCorrupt:
    """The error that says that the database is damaged, and how one can tell."""
    return DatabaseCorrupt(f"{shown(url)}: the study database is corrupt: {said}; {remedy(url)}")


def remedy(url: URL) -> str:
    """What to do about a database that is damaged."""
    rescue = ", or copy what can still be read into a new file: `mapsearch db rescue FILE`"
    return "restore a backup" + (rescue if _is_sqlite(url) else "")


def failure_behind(error: Exception) -> DBAPIError | None:
    """The database's own error in an error of ours, or of another library that uses the same database."""
    return next((cause for cause in (error, error.__cause__) if isinstance(cause, DBAPIError)), None)


def reason(error: DBAPIError) -> str:
    """What the database driver said, on one line."""
    return " ".join(str(error.orig).split())


def shown(url: URL) -> str:
    """The URL for messages: without its password and its parameters, which may hold another one."""
    return url.set(query={}).render_as_string()


def sqlite_file(url: URL) -> str | None:
    """The whole path of a SQLite file, since a task's code may change the working folder; None for other databases."""
    return os.path.abspath(url.database) if url.get_backend_name() == "sqlite" and url.database else None


def from_anywhere(url: str) -> str:
    """The URL as it is understood in any working folder, and by libraries that know nothing of ours."""
    parsed = parse(url)
    return parsed.set(database=sqlite_file(parsed) or parsed.database).render_as_string(hide_password=False)


def parse(url: str) -> URL:
    """The URL of a study database.

    Raises:
        StoreError: it is none, or one of a kind of database that is not known.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):  # the message must not show a password that could not be found
        raise StoreError(f"the storage must be a database URL; {_KNOWN}") from None
    if parsed.get_backend_name() not in ("sqlite", "postgresql"):
        raise StoreError(f"{shown(parsed)}: this kind of database is not supported; {_KNOWN}")
    if parsed.get_backend_name() == "postgresql" and "@" in f"{parsed.host}{parsed.database}":
        raise StoreError(
            "the storage URL has more than one `@`: a password's own characters must be written as in a URL, "
            "`@` as %40, `/` as %2F, `:` as %3A"
        )
    if _is_sqlite(parsed) and parsed.database in (None, "", ":memory:"):
        raise StoreError(
            f"{shown(parsed)}: a database in memory ends with its process; name a file: `sqlite:///mapsearch.db`"
        )
    folder = os.path.dirname(parsed.database or "")
    if _is_sqlite(parsed) and folder and not os.path.isdir(folder):
        raise StoreError(f"{shown(parsed)}: the folder `{folder}` does not exist; create it, or name another file")
    if _is_sqlite(parsed) and os.path.isdir(parsed.database or ""):
        raise StoreError(f"{shown(parsed)}: is a folder; name a file in it: `{shown(parsed)}/mapsearch.db`")
    is_libpq = not _is_sqlite(parsed) and parsed.get_driver_name().startswith("psycopg")
    return parsed.set(query={**NETWORK_TIMEOUTS, **parsed.query}) if is_libpq else parsed


def _engine(url: URL, **options: Any) -> Engine:
    serializer = partial(json.dumps, allow_nan=False)
    try:
        return create_engine(url, pool_pre_ping=True, json_serializer=serializer, **options)
    except ModuleNotFoundError as error:
        raise StoreError(
            f"{shown(url)}: the driver `{error.name}` is not installed; `pip install 'mapsearch[postgres]'`"
        ) from None
    except NoSuchModuleError:
        raise StoreError(f"{shown(url)}: no such database driver; {_KNOWN}") from None


def _limit_idling(connection: Any, _record: object) -> None:
    connection.execute(f"SET idle_in_transaction_session_timeout = {1000 * IDLE_SECONDS:.0f}")
    connection.commit()


def _is_sqlite(url: URL) -> bool:
    return url.get_backend_name() == "sqlite"


def _migrate(engine: Engine) -> None:
    with engine.begin() as db:
        version = _version(db)
    if version == HEAD:
        return
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
