"""A database that fails says what is wrong with it: away, replaced or corrupt."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from mapsearch.core.errors import DatabaseAway, DatabaseCorrupt, DatabaseReplaced
from mapsearch.store import sqlite
from mapsearch.store.store import Store


@pytest.fixture
def path(sqlite_url: str) -> Path:
    return Path(sqlite_url.removeprefix("sqlite:///"))


@pytest.mark.postgres
def test_connections_that_were_cut_are_replaced(server: Callable[..., None], postgresql_url: str) -> None:
    with Store.open(postgresql_url) as store:
        store.create_study("digits", {}, folder="", study_file="")
        server(open=False)
        server(open=True)
        assert [study.name for study in store.studies()] == ["digits"]


@pytest.mark.postgres
def test_a_server_out_of_reach_may_come_back(server: Callable[..., None], postgresql_url: str) -> None:
    with Store.open(postgresql_url) as store:
        store.create_study("digits", {}, folder="", study_file="")
        with store.control("digits") as study:
            server(open=False)
            with pytest.raises(DatabaseAway, match="run the command again") as caught:
                study.set_state("running")
            assert "run the command" not in caught.value.what
            server(open=True)
            study.set_state("running")


def test_a_locked_file_may_come_free(sqlite_url: str, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "PATIENCE_SECONDS", 0.0)
    with Store.open(sqlite_url) as store:
        store.create_study("digits", {}, folder="", study_file="")
        with store.control("digits") as study, closing(sqlite3.connect(path)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(DatabaseAway, match="locked"):
                study.set_state("running")
            other.rollback()
            study.set_state("running")
        assert store.study("digits").state == "stopped"


@pytest.mark.parametrize("replaced", [False, True])
def test_what_a_deleted_file_held_is_saved_but_not_what_came_after(sqlite_url: str, path: Path, replaced: bool) -> None:
    with Store.open(sqlite_url) as store:
        store.create_study("digits", {}, folder="", study_file="")
        with store.control("digits") as study:
            study.add_event("note", "before")
            for left in path.parent.iterdir():
                left.unlink()
            if replaced:
                path.touch()
            with pytest.raises(DatabaseReplaced, match=r"study\.db\.saved-.*same command"):
                study.add_event("note", "after")
    (saved,) = path.parent.glob("*.saved-*")
    with Store.open_to_read(f"sqlite:///{saved}") as copy:
        assert [event.message for event in copy.events("digits")] == ["before"]
    assert replaced == path.exists(), "no empty database was made in its place"


def test_a_damaged_file_is_corrupt_and_waiting_does_not_help(sqlite_url: str, path: Path) -> None:
    with Store.open(sqlite_url) as store:
        store.create_study("digits", {}, folder="", study_file="")
    data = bytearray(path.read_bytes())
    data[4096:] = b"\xff" * len(data[4096:])
    path.write_bytes(bytes(data))
    for open_it in (Store.open, Store.open_to_read):
        with pytest.raises(DatabaseCorrupt, match=r"corrupt.*mapsearch db rescue"), open_it(sqlite_url) as store:
            store.studies()
