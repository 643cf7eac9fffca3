"""What the store answers of its studies, on both databases."""

from pathlib import Path

import pytest

from mapsearch.core.errors import StudyNotFound
from mapsearch.core.facts import StudyFacts
from mapsearch.store.store import Store


def test_a_study_comes_back_as_it_was_created(store: Store) -> None:
    study = store.study("digits")
    assert (study.name, study.state, study.folder, study.facts) == ("digits", "queued", "/home/studies", StudyFacts())
    assert study.spec == {"name": "digits", "seed": 0}
    assert study.created_at.endswith("+00:00")
    assert (study.n_trials, study.n_runs, study.n_complete) == (0, 0, 0)


def test_a_study_survives_its_store(store: Store) -> None:
    with Store.open_to_read(store.url) as other:
        assert other.studies() == store.studies()


def test_a_study_that_is_there_stays_as_it_is(store: Store) -> None:
    before = store.study("digits")
    store.create_study("digits", {"name": "digits", "seed": 1}, folder="/elsewhere", study_file="# other\n")
    assert store.study("digits") == before


def test_studies_are_listed_newest_first(store: Store) -> None:
    for name in ("alpha", "zebra", "beta"):
        store.create_study(name, {}, folder="", study_file="")
    assert [study.name for study in store.studies()] == ["beta", "zebra", "alpha", "digits"]


def test_an_unknown_study_is_refused_with_close_matches(store: Store) -> None:
    with pytest.raises(StudyNotFound, match=r"no study `digist` in .*; did you mean `digits`"):
        store.study("digist")
    with pytest.raises(StudyNotFound, match=r"no study `xyz` in .*; the newest are digits"):
        store.trials("xyz")
    with pytest.raises(StudyNotFound, match="no study `xyz`"), store.control("xyz"):
        pass
    with pytest.raises(StudyNotFound, match="no study `xyz`"):
        store.request_stop("xyz")


def test_an_empty_database_says_how_to_start_a_study(sqlite_url: str) -> None:
    with Store.open(sqlite_url) as store, pytest.raises(StudyNotFound, match=r"`mapsearch run STUDY\.yaml` starts one"):
        store.study("digits")


def test_a_study_that_is_asked_to_stop_learns_of_it_at_its_next_write(store: Store) -> None:
    with Store.open(store.url) as other, store.control("digits") as study:
        assert not study.stop_requested
        other.request_stop("digits")
        study.add_event("note", "a write")
        assert study.stop_requested


def test_a_task_that_changes_the_working_folder_does_not_move_the_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with Store.open("sqlite:///here.db") as store:
        store.create_study("a", {}, folder="", study_file="")
        with store.control("a") as study:
            monkeypatch.chdir("/")
            study.set_state("running")
            assert study.url == f"sqlite:///{tmp_path}/here.db"
