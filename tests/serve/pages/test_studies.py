"""The list of studies."""

from sqlalchemy import create_engine, text

from mapsearch.store.store import Store


def test_a_study_stands_there_with_its_decision(page):
    status, text = page("/")
    assert status == 200
    assert "/studies/tiny" in text
    assert "complete" in text


def test_a_study_is_found_by_a_part_of_its_name(page):
    assert "/studies/tiny" in page("/?find=IN")[1]
    assert "/studies/tiny" not in page("/?find=x%22%3E%3Cscript%3E")[1]


def test_no_study_yet_says_how_to_begin(start, tmp_path):
    service = start("--storage", f"sqlite:///{tmp_path / 'none.db'}")
    answer = service.ask("GET", "/", Cookie=service.session(service.read))
    assert answer.status == 200
    assert b"mapsearch init my-study" in answer.body


def test_a_study_that_cannot_be_read_does_not_hide_the_others(start, tmp_path):
    url = f"sqlite:///{tmp_path / 'study.db'}"
    spec = {"metric": "accuracy", "direction": "maximize", "train": {"steps": 20}}
    with Store.open(url) as store:
        for name in ("good", "broken"):
            store.create_study(name, {**spec, "name": name}, folder="", study_file="")
    engine = create_engine(url)
    with engine.begin() as db:
        db.execute(text("UPDATE mapsearch_studies SET spec = '{}' WHERE name = 'broken'"))
    engine.dispose()
    service = start("--storage", url)
    body = service.ask("GET", "/", Cookie=service.session(service.read)).body.decode()
    assert "another version" in body
    assert "the study waits to be started" in body
