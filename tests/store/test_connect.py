"""URLs that cannot be used are refused in one line, and every process that opens a database gets the same one."""

import json
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.exc import OperationalError

from mapsearch.core.errors import DatabaseFailed, StoreError
from mapsearch.core.recipe import Recipe
from mapsearch.core.runs import RunPlan, RunResult
from mapsearch.core.trials import Trial
from mapsearch.proposers import optuna_record
from mapsearch.store.connect import NETWORK_TIMEOUTS
from mapsearch.store.handle import StudyHandle
from mapsearch.store.store import Store

OPEN = """
import sys, time
from mapsearch.core.errors import StudyBusy
from mapsearch.store.store import Store
print("ready", flush=True)
sys.stdin.readline()
with Store.open(sys.argv[1]) as store:
    store.create_study("digits", {"seed": 0}, folder="", study_file="")
    for attempt in range(1000):
        try:
            with store.control("digits") as study:
                study.add_event("note", "here")
            break
        except StudyBusy:
            time.sleep(0.01)
"""


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("study.db", "must be a database URL; `sqlite:///FILE.db`"),
        ("mysql://localhost/x", "mysql://localhost/x: .*sqlite"),
        ("sqlite+nothing:///x.db", "no such database driver"),
        ("postgresql+pg8000://me:secret@localhost/x", r"me:\*\*\*@.*driver `pg8000` is not installed"),
        ("postgresql+psycopg://me:p@ss@localhost/x", "more than one `@`"),
        ("mysql://localhost/x?user=me&password=secret", r"mysql://localhost/x: "),
        ("sqlite://", "sqlite:.*name a file"),
        ("sqlite:////nowhere/at/all/study.db", "the folder `/nowhere/at/all` does not exist"),
    ],
)
def test_an_unusable_url_is_refused(url: str, message: str) -> None:
    with pytest.raises(StoreError, match=message) as caught:
        Store.open(url)
    assert len(str(caught.value).splitlines()) == 1
    assert not any(word in str(caught.value) for word in ("secret", "p@ss", "ss@"))


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "notes.db"
    path.write_text("not a database " * 100)
    with pytest.raises(StoreError, match=r"notes\.db: .*file is not a database"):
        Store.open(f"sqlite:///{path}")


def test_reading_makes_no_database(tmp_path: Path) -> None:
    path = tmp_path / "study.db"
    with pytest.raises(StoreError, match=r"sqlite:.*`mapsearch run STUDY\.yaml`"):
        Store.open_to_read(f"sqlite:///{path}")
    assert not path.exists()


def test_a_database_of_others_is_no_study_database(url: str) -> None:
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE studies (study_id INTEGER)"))
    engine.dispose()
    with pytest.raises(StoreError, match="no study database at"):
        Store.open_to_read(url)


def test_a_newer_database_is_refused(url: str) -> None:
    Store.open(url).close()
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE mapsearch_alembic_version SET version_num = '9999'"))
    engine.dispose()
    with pytest.raises(StoreError, match=r"newer version .*`pip install -U mapsearch`"):
        Store.open(url)


def test_a_database_that_fails_later_is_reported_in_one_line(sqlite_url: str) -> None:
    with Store.open(sqlite_url) as store:
        store.create_study("digits", {}, folder="", study_file="")
        store.close()
        Path(sqlite_url.removeprefix("sqlite:///")).write_text("overwritten " * 1000)
        with pytest.raises(StoreError, match=r"study\.db: the study database is corrupt: .*; restore a backup"):
            store.studies()


def test_sqlite_files_take_readers_beside_a_writer(sqlite_url: str) -> None:
    Store.open(sqlite_url).close()
    connection = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"))
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


def test_processes_that_open_an_empty_database_at_once_all_succeed(url: str) -> None:
    command = [sys.executable, "-c", OPEN, url]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    started = [subprocess.Popen(command, **pipes) for _ in range(3)]
    for process in started:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
    for process in started:
        assert process.stdin is not None
        process.stdin.write(b"go\n")
        process.stdin.flush()
    for process in started:
        process.communicate()
    assert [process.returncode for process in started] == [0, 0, 0]
    with Store.open_to_read(url) as store:
        assert len(store.studies()) == 1
        assert len(store.events("digits")) == 3


def test_a_database_of_this_version_is_opened_without_loading_the_migrations(sqlite_url: str) -> None:
    Store.open(sqlite_url).close()
    code = (
        "import sys; from mapsearch.store.store import Store; Store.open(sys.argv[1]).close(); "
        "print([name for name in ('alembic', 'optuna', 'torch', 'pydantic') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code, sqlite_url], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


FIRST_RUN = """
import sys
from mapsearch.proposers.optuna_record import create_tables
from mapsearch.store.store import Store
print("ready", flush=True)
sys.stdin.readline()
with Store.open(sys.argv[1], create_more=create_tables) as store:
    store.create_study(sys.argv[2], {"seed": 0}, folder="", study_file="")
    create_tables(sys.argv[1])
"""


def test_eight_first_runs_at_once_create_ours_and_the_samplers_tables(url: str) -> None:
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    started = [subprocess.Popen([sys.executable, "-c", FIRST_RUN, url, f"study{n}"], **pipes) for n in range(8)]
    for process in started:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
    for process in started:
        assert process.stdin is not None
        process.stdin.write(b"go\n")
        process.stdin.flush()
    for process in started:
        process.communicate()
    assert [process.returncode for process in started] == [0] * 8
    with Store.open_to_read(url) as store:
        assert len(store.studies()) == 8


@pytest.mark.parametrize("replaced", [False, True])
def test_a_file_that_is_deleted_or_replaced_fails_the_next_write(sqlite_url: str, replaced: bool) -> None:
    path = Path(sqlite_url.removeprefix("sqlite:///"))
    with Store.open(sqlite_url) as store:
        store.create_study("digits", {}, folder="", study_file="")
        with store.control("digits") as study:
            path.rename(path.with_suffix(".moved"))
            if replaced:
                path.touch()
            with pytest.raises(DatabaseFailed, match="deleted or replaced") as caught:
                study.set_state("complete")
            assert caught.value.exit_code == 1


def test_a_row_that_is_no_json_is_reported_in_one_line(store: Store) -> None:
    engine = create_engine(store.url)
    if engine.dialect.name == "sqlite":  # PostgreSQL refuses it itself
        with engine.begin() as connection:
            connection.execute(text("UPDATE mapsearch_studies SET facts = '{broken'"))
        with pytest.raises(DatabaseFailed, match=r"`digits`.*damaged"):
            store.study("digits")
    engine.dispose()


@pytest.mark.parametrize(
    ("table", "column", "value"),
    [
        ("studies", "spec", [1]),
        ("studies", "facts", "text"),
        ("studies", "facts", {"similarity": 1}),
        ("studies", "facts", {"verdict": {"against": 3}}),
        ("trials", "recipe", {"pairs": [1]}),
        ("trials", "recipe", {"no_such": 1}),
        ("trials", "params", 7),
        ("runs", "result", {"curve": 1}),
        ("runs", "result", [[]]),
        ("runs", "notes", "text"),
    ],
)
def test_json_of_another_form_names_table_and_study(
    store: Store, study: StudyHandle, table: str, column: str, value: object
) -> None:
    recipe = Recipe(output_weight=1.0)
    study.add_trials([Trial(0, "curve", recipe)])
    study.plan_runs([RunPlan(0, recipe, 0, 0, "search", "valid", 5)])
    engine = create_engine(store.url)
    with engine.begin() as connection:
        connection.execute(text(f"UPDATE mapsearch_{table} SET {column} = :json"), {"json": json.dumps(value)})
    engine.dispose()

    def read_all() -> None:
        store.study("digits")
        store.trials("digits")
        store.runs("digits")
        store.run_summaries("digits")

    with pytest.raises(DatabaseFailed, match=f"`digits`.*`mapsearch_{table}`.*damaged"):
        read_all()


def test_texts_that_no_database_takes_are_written_out(store: Store, study: StudyHandle) -> None:
    recipe, bad = Recipe(output_weight=1.0), "tape\0 \udc80 is full"
    study.add_trials([Trial(0, "curve", recipe)])
    plan = RunPlan(0, recipe, 0, 0, "search", "valid", 5, attempt=1)
    study.plan_runs([plan])
    study.start_runs([plan], "worker")
    study.finish_run(RunResult(plan.key, "crashed", {}, error=bad, notes=(bad,), attempt=1), None)
    study.add_event("failed", bad)
    (run,), (event, *_) = store.run_summaries("digits"), store.events("digits")
    assert run.error == run.notes[0] == event.message == r"tape\x00 \udc80 is full"


def test_what_another_library_cannot_create_is_told_as_ours(sqlite_url: str) -> None:
    def create(_: str) -> None:
        raise RuntimeError("the library's own words") from OperationalError("CREATE", {}, Exception("disk is full"))

    with pytest.raises(StoreError, match=r"cannot be used: disk is full; free space"):
        Store.open(sqlite_url, create_more=create)


def parameters(connection: Connection) -> dict[str, str]:
    told: dict[str, str] = connection.connection.driver_connection.info.get_parameters()  # type: ignore[union-attr]
    return told


@pytest.mark.postgres
def test_a_silent_network_is_noticed_by_us_and_by_the_sampler_unless_the_url_says_otherwise(
    postgresql_url: str,
) -> None:
    expected, urls = {**NETWORK_TIMEOUTS, "keepalives_idle": "7"}, list[str]()
    with Store.open(f"{postgresql_url}&keepalives_idle=7", create_more=urls.append) as store:
        with store._database.reading() as db:
            assert parameters(db).items() >= expected.items()
        urls.append(store.url)
    for url in urls:
        with optuna_record._storage(url) as storage, storage.engine.connect() as db:
            assert parameters(db).items() >= expected.items()
    with Store.open_to_read(postgresql_url) as store, store._database.reading() as db:
        assert parameters(db).items() >= NETWORK_TIMEOUTS.items()
