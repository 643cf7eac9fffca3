"""A study database moved to another: every row kept, ours and Optuna's."""

import resource
import shutil
import sqlite3
from contextlib import closing, contextmanager
from pathlib import Path

import optuna
import pytest
from sqlalchemy import MetaData, create_engine, select, text

from mapsearch.core.errors import DatabaseCorrupt, DatabaseFailed, StoreError
from mapsearch.proposers.optuna_record import create_tables
from mapsearch.store.rescue import rescue
from mapsearch.store.store import Store
from mapsearch.store.transfer import backup, copy_database, integrity

VERSIONS = ("mapsearch_alembic_version", "alembic_version", "version_info")


@pytest.fixture
def source(finished, tmp_path):
    """The URL of a copy of a finished study."""
    return f"sqlite:///{shutil.copy(finished[1].removeprefix('sqlite:///'), tmp_path / 'source.db')}"


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def target(request, tmp_path):
    """The URL of a database that holds nothing yet."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'target.db'}"
    return request.getfixturevalue("postgresql_url")


def rows_of(url):
    engine, found = create_engine(url), MetaData()
    found.reflect(engine)
    with engine.connect() as db:
        rows = {
            t.name: [tuple(row) for row in db.execute(select(t).order_by(*t.primary_key))] for t in found.sorted_tables
        }
    engine.dispose()
    return {name: table for name, table in rows.items() if name not in VERSIONS}


def test_every_row_is_copied_there_and_back(source, target, tmp_path):
    counts = copy_database(source, target, create_more=create_tables)
    back = f"sqlite:///{tmp_path / 'back.db'}"
    copy_database(target, back, create_more=create_tables)
    before, after = rows_of(source), rows_of(back)
    assert after == before
    assert counts == {name: len(rows) for name, rows in before.items()}
    assert counts["mapsearch_runs"] > 50


def test_the_copy_is_a_study_that_goes_on(source, target):
    copy_database(source, target, create_more=create_tables)
    with Store.open(target) as store, store.control("tiny") as study:
        study.add_event("note", "in its new place")
        assert store.events("tiny")[-1].message == "in its new place"
    storage = optuna.storages.RDBStorage(target)
    copied = optuna.load_study(study_name="tiny", storage=storage)
    n_before = len(copied.trials)
    assert copied.ask().number == n_before
    storage.remove_session()
    storage.engine.dispose()


def test_a_running_study_is_not_copied_and_a_database_with_studies_is_not_written(source, target):
    with Store.open(source) as store, store.control("tiny"), pytest.raises(StoreError, match="`tiny` is running"):
        copy_database(source, target, create_more=create_tables)
    copy_database(source, target, create_more=create_tables)
    with pytest.raises(StoreError, match="holds studies already"):
        copy_database(source, target, create_more=create_tables)


def test_a_backup_is_taken_beside_a_writer(source, tmp_path):
    with Store.open(source) as store, store.control("tiny") as study:
        study.add_event("note", "just now")
        backup(source, tmp_path / "backup.db")
    with Store.open_to_read(f"sqlite:///{tmp_path / 'backup.db'}") as store:
        assert store.events("tiny")[-1].message == "just now"
    with pytest.raises(StoreError, match="exists already"):
        backup(source, tmp_path / "backup.db")
    with pytest.raises(StoreError, match="cannot be written"):
        backup(source, tmp_path / "no" / "backup.db")


@contextmanager
def full():
    """No file of this process may grow."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("copy", [backup, rescue])
def test_a_copy_for_which_there_is_no_room_leaves_no_file_and_may_be_tried_again(copy, source, tmp_path):
    with full(), pytest.raises(StoreError, match=r"copied to .*copy\.db: .*no file was written"):
        copy(source, tmp_path / "copy.db")
    assert list(tmp_path.glob("copy*")) == []
    copy(source, tmp_path / "copy.db")
    assert integrity(f"sqlite:///{tmp_path / 'copy.db'}") == []


def test_a_database_that_becomes_full_while_it_is_copied_to_holds_nothing(source, tmp_path):
    to = f"sqlite:///{tmp_path / 'copy.db'}"
    Store.open(to, create_more=create_tables).close()
    with full(), pytest.raises(DatabaseFailed, match=r"copy\.db: .*nothing was copied"):
        copy_database(source, to, create_more=create_tables)
    assert copy_database(source, to, create_more=create_tables)["mapsearch_studies"] == 1


def test_a_damaged_database_is_neither_backed_up_nor_copied_as_if_it_were_whole(source, tmp_path):
    path = Path(source.removeprefix("sqlite:///"))
    with closing(sqlite3.connect(path)) as db:
        size = db.execute("PRAGMA page_size").fetchone()[0]
        root = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'mapsearch_runs'").fetchone()[0]
    data = bytearray(path.read_bytes())
    data[(root - 1) * size : root * size] = b"\xff" * size
    path.write_bytes(data)
    with pytest.raises(DatabaseCorrupt, match=r"source\.db: .*db rescue"):
        backup(source, tmp_path / "copy.db")
    assert not (tmp_path / "copy.db").exists()
    with pytest.raises(DatabaseCorrupt, match=r"source\.db: .*db rescue"):
        copy_database(source, f"sqlite:///{tmp_path / 'copy.db'}", create_more=create_tables)


@pytest.mark.postgres
def test_a_server_is_backed_up_by_its_own_means(postgresql_url):
    Store.open(postgresql_url).close()
    with pytest.raises(StoreError, match="pg_dump"):
        backup(postgresql_url, "backup.db")


def test_damage_and_lost_rows_are_found(source, tmp_path):
    assert integrity(source) == []
    engine = create_engine(source)
    with engine.begin() as db:
        n = db.scalar(text("SELECT count(*) FROM mapsearch_trials"))
        db.execute(text("UPDATE mapsearch_trials SET study_id = 'nobody'"))
    engine.dispose()
    assert f"mapsearch_trials: {n} rows of studies that are not there" in integrity(source)


def test_damaged_pages_are_found(source):
    file = source.removeprefix("sqlite:///")
    with open(file, "r+b") as damaged:
        size = damaged.seek(0, 2)
        for page in range(size // 4096 // 2, size // 4096):  # the second half: tables, not the schema
            damaged.seek(4096 * page)
            damaged.write(b"\xff" * 4096)
    problems = integrity(source)
    assert all("damaged" in problem for problem in problems)
    assert "`mapsearch db rescue FILE`" in problems[-1]
