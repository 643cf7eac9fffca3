"""Reading a SQLite file needs no permission to write and leaves nothing behind, beside a live writer too."""

import shutil
import sqlite3
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from mapsearch.core.errors import DatabaseChanged, StoreError
from mapsearch.store.store import Store

READ = """
import os, sys
from mapsearch.core.errors import StoreError
from mapsearch.store.store import Store

def read(url):
    try:
        with Store.open_to_read(url) as store:
            return str([study.name for study in store.studies()])
    except StoreError as error:
        return str(error)

read(sys.argv[2])  # loads all modules, which another user may not be allowed to
if os.geteuid() == 0:  # root may write anywhere
    os.setuid(65534)
print(read(sys.argv[1]))
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that every user of the machine can read, with a study database."""
    folder = Path(tempfile.mkdtemp(prefix="mapsearch"))
    folder.chmod(0o755)
    _fill(folder / "study.db")
    yield folder
    shutil.rmtree(folder)


def _fill(path: Path) -> None:
    with Store.open(f"sqlite:///{path}") as store:
        store.create_study("digits", {"seed": 0}, folder="", study_file="")


def _read_without_permission(path: Path, own: Path) -> str:
    """What a reader prints that may write neither the file nor its folder; `own` is for a file of its own."""
    _fill(own / "own.db")
    path.chmod(0o444)
    path.parent.chmod(0o555)
    command = [sys.executable, "-c", READ, f"sqlite:///{path}", f"sqlite:///{own / 'own.db'}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    path.parent.chmod(0o755)
    assert done.stderr == ""
    return done.stdout


def _names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_reading_leaves_file_and_folder_as_they_are(folder: Path) -> None:
    path = folder / "study.db"
    before = (path.read_bytes(), path.stat().st_mtime_ns, folder.stat().st_mtime_ns)
    with Store.open_to_read(f"sqlite:///{path}") as store:
        assert [study.name for study in store.studies()] == ["digits"]
        assert _names(folder) == {"study.db"}
    assert (path.read_bytes(), path.stat().st_mtime_ns, folder.stat().st_mtime_ns) == before


def test_who_may_not_write_can_read(folder: Path, tmp_path: Path) -> None:
    assert _read_without_permission(folder / "study.db", tmp_path) == "['digits']\n"
    assert _names(folder) == {"study.db"}


def test_who_may_not_write_can_read_beside_a_live_writer(folder: Path, tmp_path: Path) -> None:
    with Store.open(f"sqlite:///{folder / 'study.db'}") as store:
        store.create_study("shapes", {}, folder="", study_file="")
        assert "study.db-wal" in _names(folder), "the newest study is in the log only"
        assert _read_without_permission(folder / "study.db", tmp_path) == "['shapes', 'digits']\n"
    assert _names(folder) == {"study.db"}


def test_a_reader_that_outlives_the_writer_leaves_no_log_behind(folder: Path) -> None:
    url = f"sqlite:///{folder / 'study.db'}"
    writer = Store.open(url)
    writer.create_study("shapes", {}, folder="", study_file="")
    with Store.open_to_read(url) as reader, reader._database.reading() as db:
        writer.close()
        assert db.scalar(text("SELECT count(*) FROM mapsearch_studies")) == 2
    assert _names(folder) == {"study.db"}


def test_a_log_whose_writer_was_killed_is_read(folder: Path) -> None:
    path, copy = folder / "study.db", folder / "copy.db"
    with Store.open(f"sqlite:///{path}") as store:
        store.create_study("shapes", {}, folder="", study_file="")
        shutil.copy(path, copy)
        shutil.copy(f"{path}-wal", f"{copy}-wal")
    with Store.open_to_read(f"sqlite:///{copy}") as store:
        assert len(store.studies()) == 2
    assert _names(folder) == {"study.db", "copy.db"}


def test_a_log_left_behind_where_nobody_may_write_says_what_to_do(folder: Path, tmp_path: Path) -> None:
    path, elsewhere = folder / "study.db", folder / "archive"
    elsewhere.mkdir()
    with Store.open(f"sqlite:///{path}") as store:
        store.create_study("shapes", {}, folder="", study_file="")
        for suffix in ("", "-wal"):
            shutil.copy(f"{path}{suffix}", elsewhere / f"study.db{suffix}")
    assert "copy both files" in _read_without_permission(elsewhere / "study.db", tmp_path)


def test_a_file_that_changes_while_it_is_read_is_not_believed(folder: Path) -> None:
    path = folder / "study.db"

    def write_while_reading(store: Store) -> None:
        with store._database.reading() as db:
            db.scalar(text("SELECT 1"))
            with closing(sqlite3.connect(path)) as other, other:
                other.execute("UPDATE mapsearch_studies SET state = 'complete'")

    with Store.open_to_read(f"sqlite:///{path}") as store:
        with pytest.raises(DatabaseChanged):
            write_while_reading(store)
        assert [study.state for study in store.studies()] == ["complete"]


def test_a_reader_cannot_write(folder: Path) -> None:
    with Store.open_to_read(f"sqlite:///{folder / 'study.db'}") as store, pytest.raises(StoreError, match="readonly"):
        store.create_study("shapes", {}, folder="", study_file="")


def test_an_older_database_that_cannot_be_written_says_what_to_do(folder: Path, tmp_path: Path) -> None:
    path, old = folder / "study.db", folder / "old.db"
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as db:
        db.execute(text("UPDATE mapsearch_alembic_version SET version_num = '0001'"))
    engine.dispose()
    path.rename(old)
    said = _read_without_permission(old, tmp_path)
    assert "write permission" in said
    assert "copy" in said
    assert stat.S_IMODE(old.stat().st_mode) == 0o444
