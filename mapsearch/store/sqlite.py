"""SQLite's own ways: how a file is opened to write and to read, and how a file is told from another."""

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, event

from mapsearch.core.errors import StoreError

PATIENCE_SECONDS = 15.0
"""How long a connection waits for the locks of others; a study waits on by itself (`controller/outage.py`)."""


def set_up_writing(engine: Engine) -> None:
    """Lets every connection of the engine keep a write-ahead log, beside which others read."""
    event.listen(engine, "connect", _set_up)
    event.listen(engine, "begin", _begin)


def set_up_reading(engine: Engine) -> None:
    """Leaves transactions to SQLAlchemy, as in `set_up_writing`."""
    event.listen(engine, "begin", _begin)


class WrittenFile:
    """Connections to a file that is written: the first one makes it, no later one makes another in its place."""

    def __init__(self, path: str) -> None:
        self._uri = Path(path).absolute().as_uri()
        self._mode = "rwc"

    def connect(self) -> sqlite3.Connection:
        """A new connection."""
        uri = f"{self._uri}?mode={self._mode}"
        # SQLAlchemy's pool hands a connection to one thread at a time
        connection = sqlite3.connect(uri, uri=True, timeout=PATIENCE_SECONDS, check_same_thread=False)
        self._mode = "rw"
        return connection


def saved_copy(connection: Connection, path: str) -> Path | None:
    """A copy of a deleted file that this connection still has open, beside where it was; None if it cannot be made."""
    copy = Path(f"{path}.saved-{time.time_ns()}")
    try:
        with closing(sqlite3.connect(copy)) as target:
            connection.connection.driver_connection.backup(target)  # type: ignore[union-attr]  # it is open
    except (OSError, sqlite3.Error):
        copy.unlink(missing_ok=True)
        return None
    return copy


@contextmanager
def new_file(file: Path, source: str) -> Iterator[None]:
    """A SQLite file that is copied from `source` in the `with` statement; it stays only if nothing goes wrong.

    Raises:
        StoreError: the file is there already, or it or the source fails.
    """
    try:
        file.touch(exist_ok=False)
    except FileExistsError:
        raise StoreError(f"{file}: exists already; name a new file") from None
    except OSError as error:
        raise StoreError(f"{file}: cannot be written: {error.strerror}; choose another file") from None
    try:
        yield
    except sqlite3.Error as error:
        file.unlink()
        raise StoreError(f"{source} cannot be copied to {file}: {error}; no file was written") from None
    except BaseException:
        file.unlink()
        raise


class ReadOnlyFile:
    """Connections to a file that is only read, one at a time: they need no write permission and leave no file behind.

    A database in use has a log beside it, and takes part in its locks. One that is at rest is opened as
    `immutable`: SQLite would else make a log to read it, and would fail where it may not. `has_changed`
    says whether it was at rest all the time.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._at_rest: tuple[int, ...] | None = None

    def connect(self) -> sqlite3.Connection:
        """A new connection."""
        self._at_rest = None if self._is_in_use() else _stamp(self._path)
        if self._at_rest:
            mode = "mode=ro&immutable=1"
        elif is_writable(self._path):
            mode = "mode=rw"  # the last to close a log removes it, which `ro` cannot
        else:
            mode = "mode=ro"
        uri = f"{Path(self._path).absolute().as_uri()}?{mode}"
        connection = sqlite3.connect(uri, uri=True, timeout=PATIENCE_SECONDS, isolation_level=None)
        connection.execute("PRAGMA query_only=ON")
        return connection

    def has_changed(self) -> bool:
        """Whether somebody wrote to the file since the last connection took it to be at rest."""
        return self._at_rest is not None and _stamp(self._path) != self._at_rest

    def needs_writing(self) -> bool:
        """Whether a log was left behind that cannot be read without writing beside it."""
        left = os.path.exists(self._path + "-wal") and not os.path.exists(self._path + "-shm")
        return left and not is_writable(self._path)

    def _is_in_use(self) -> bool:
        return any(os.path.exists(self._path + suffix) for suffix in ("-wal", "-journal"))


def is_writable(path: str) -> bool:
    """Whether the file can be written: SQLite needs its folder, too."""
    return os.access(path, os.W_OK) and os.access(os.path.dirname(path) or ".", os.W_OK)


def file_identity(path: str) -> tuple[int, int] | None:
    """What tells a file from any other that had or gets its name; None if there is none."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return (status.st_dev, status.st_ino)


def _stamp(path: str) -> tuple[int, ...] | None:
    """What is another after every write to the file; None if there is none."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


def _set_up(connection: Any, _: Any) -> None:
    # Foreign keys stay unenforced: with them on, a migration that rebuilds `mapsearch_studies`
    # (copy, drop, rename) would delete the rows of every other table.
    connection.isolation_level = None  # the driver must not begin transactions on its own
    try:
        _use_write_ahead_log(connection)
        connection.execute("PRAGMA synchronous=NORMAL")
    except Exception:
        connection.close()
        raise


def _use_write_ahead_log(connection: Any) -> None:
    # Several processes may meet at a new file. SQLite does not wait for its busy timeout when the
    # journal changes hands, so the waiting is done here.
    started = time.monotonic()
    while connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except connection.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() - started > PATIENCE_SECONDS:
                raise
            time.sleep(0.02)


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.get_execution_options().get("writes") else "BEGIN")
