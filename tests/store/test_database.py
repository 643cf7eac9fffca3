"""A PostgreSQL server that goes away for a while is waited for; one that stays away is an error."""

from collections.abc import Callable
from typing import Any

import pytest

from mapsearch.core.errors import DatabaseFailed
from mapsearch.store import database
from mapsearch.store.store import Store

pytestmark = pytest.mark.postgres


def test_a_server_that_comes_back_is_waited_for_and_told_of_once(
    server: Callable[..., None], postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []

    def sleep(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 3:
            server(open=True)

    with Store.open(postgresql_url) as store:
        store.create_study("digits", {}, folder="", study_file="")
        with store.control("digits") as study:
            study.add_event("note", "before")
            monkeypatch.setattr(database.time, "sleep", sleep)
            server(open=False)
            study.add_event("note", "meanwhile")
            study.add_event("note", "after")
        assert [event.kind for event in store.events("digits")] == ["note", "database", "note", "note"]
    assert waited == sorted(waited)


def test_connections_that_were_cut_are_replaced(server: Callable[..., None], postgresql_url: str) -> None:
    with Store.open(postgresql_url) as store:
        store.create_study("digits", {}, folder="", study_file="")
        server(open=False)
        server(open=True)
        assert [study.name for study in store.studies()] == ["digits"]


def test_a_server_that_stays_away_is_an_error_after_about_a_minute(
    server: Callable[..., None], postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[Any] = []
    monkeypatch.setattr(database.time, "sleep", waited.append)
    with Store.open(postgresql_url) as store:
        store.create_study("digits", {}, folder="", study_file="")
        server(open=False)
        with pytest.raises(DatabaseFailed, match=r"run the command again|same command"):
            store.studies()
    assert 50 < sum(waited) < 70
