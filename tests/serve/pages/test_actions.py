"""The forms of a study's page, posted as a browser without scripts does."""

import sqlite3
from contextlib import closing

import pytest

from mapsearch.api.queries import list_studies, summary
from mapsearch.core.folders import cache_folder
from mapsearch.store.store import Store


@pytest.fixture(scope="module")
def storage(finished, tmp_path_factory):
    """A copy of the finished study's database, to be changed."""
    path = tmp_path_factory.mktemp("acting") / "study.db"
    with closing(sqlite3.connect(finished[1].removeprefix("sqlite:///"))) as old, closing(sqlite3.connect(path)) as new:
        old.backup(new)
    return f"sqlite:///{path}"


@pytest.fixture(scope="module")
def acting(start, storage):
    return start("--storage", storage)


def shown(acting, path):
    return acting.ask("GET", path, Cookie=acting.session(acting.act)).body.decode()


@pytest.mark.parametrize("state", ["stopped", "failed"])
def test_a_page_follows_a_study_from_when_a_process_takes_it(acting, storage, state):
    assert "data-live" not in shown(acting, "/studies/tiny")
    with Store.open(storage) as store:
        with store.control("tiny") as study:
            study.set_state(state)
        assert "data-live" not in shown(acting, "/studies/tiny")
        with store.control("tiny") as study:
            assert "data-live" in shown(acting, "/studies/tiny"), "before it says that it runs"
            study.set_state("complete")


REFUSED = [
    ("none/stop", {}, 404, "no study"),
    ("tiny/resume", {}, 409, "--studies"),
    ("tiny/confirm", {"seeds": "18"}, 409, "--studies"),
    ("tiny/rename", {"name": "../x"}, 422, "name"),
    ("tiny/rename", {}, 422, "name"),
    ("tiny/note", {"note": "x" * 20_001}, 422, "20001"),
    ("tiny/delete", {}, 422, "nothing was deleted"),
    ("tiny/delete", {"confirm": "Tiny"}, 422, "nothing was deleted"),
]


@pytest.mark.parametrize(("path", "fields", "status", "words"), REFUSED)
def test_what_is_refused_says_why_on_a_page_and_changes_nothing(acting, storage, path, fields, status, words):
    before = list_studies(storage)
    answer = acting.post(f"/studies/{path}", fields)
    assert (answer.status, words in answer.body.decode()) == (status, True)
    assert list_studies(storage) == before


@pytest.mark.parametrize("site", ["cross-site", "same-site", "none"])
def test_a_page_of_another_site_presses_no_button(acting, storage, site):
    assert acting.post("/studies/tiny/delete", {"confirm": "tiny"}, Sec_Fetch_Site=site).status == 403
    assert [study.name for study in list_studies(storage)] == ["tiny"]


def test_who_only_reads_has_no_buttons_and_presses_none(acting, storage):
    cookie = acting.session(acting.read)
    for path in ("/", "/studies/tiny"):
        text = acting.ask("GET", path, Cookie=cookie).body
        assert b'method="post"' not in text
        assert b"/launch" not in text
    assert acting.post("/studies/tiny/note", {"note": "mine"}, Cookie=cookie).status == 403
    assert summary("tiny", storage).note == ""


def test_a_note_is_kept_as_it_was_written_and_shown_to_who_reads(acting, storage):
    answer = acting.post("/studies/tiny/note", {"note": "first <b>line</b>\r\nsecond: ß & 100 %"})
    assert (answer.status, answer.headers["location"]) == (303, "/studies/tiny#note")
    assert summary("tiny", storage).note == "first <b>line</b>\nsecond: ß & 100 %"
    page = acting.ask("GET", "/studies/tiny", Cookie=acting.session(acting.read)).body.decode()
    assert "first &lt;b&gt;line&lt;/b&gt;<br>second: ß &amp; 100 %" in page
    page = acting.ask("GET", "/studies/tiny", Cookie=acting.session(acting.act)).body.decode()
    assert ">\nfirst &lt;b&gt;line&lt;/b&gt;\nsecond: ß &amp; 100 %</textarea>" in page


def test_files_that_cannot_go_with_their_study_are_told_to_who_may_act(acting, storage):
    kept, in_the_way = cache_folder(storage, "tiny"), cache_folder(storage, "small")
    kept.mkdir(parents=True)
    in_the_way.write_text("no folder")
    there = acting.post("/studies/tiny/rename", {"name": "small"}).headers["location"]
    assert f"moved along with the study and is left to you: <code>{kept}</code>" in shown(acting, there)
    assert str(kept) not in acting.ask("GET", there, Cookie=acting.session(acting.read)).body.decode()
    assert "notice" not in shown(acting, "/studies/small?left=..&left=study.db&left=&left=<b>")
    assert "notice" not in shown(acting, "/studies/small?left=small")  # a study's own files are nothing left over
    in_the_way.unlink()
    kept.rename(in_the_way)
    kept.write_text("no folder")
    assert acting.call("PATCH", "/studies/small", {"name": "tiny"}).json["left_over"] == [str(in_the_way)]
    in_the_way.rmdir()
    kept.unlink()


def test_a_study_is_renamed_and_deleted_once_its_name_was_typed(acting, storage):
    assert acting.post("/studies/tiny/rename", {"name": "small.2"}).headers["location"] == "/studies/small.2"
    assert [study.name for study in list_studies(storage)] == ["small.2"]
    (kept := cache_folder(storage, "small.2")).write_text("no folder")
    there = acting.post("/studies/small.2/delete", {"confirm": "small.2"}).headers["location"]
    assert list_studies(storage) == []
    assert f"removed along with the study and is left to you: <code>{kept}</code>" in shown(acting, there)
    kept.unlink()
    assert "notice" not in shown(acting, there)
