import json

from mapsearch.store.store import Store


def test_show(do, finished):
    code, out, err = do("show", "tiny", "--storage", finished[1])
    assert code == 0
    assert "recipes: best proposals first" in out
    assert "complete: " in out
    assert "full-run equivalents" in out
    assert "next: mapsearch export tiny" in err


def test_of_a_study_that_runs_nothing_is_to_do_next(do, spec, url):
    with Store.open(url) as store:
        store.create_study("tiny", spec().to_json(), folder="", study_file="")
        with store.control("tiny") as study:
            study.set_state("running")
            assert "next:" not in do("show", "tiny", "--storage", url)[2]
            study.set_state("stopped")
        assert "next: mapsearch run tiny" in do("show", "tiny", "--storage", url)[2]


def test_the_storage_may_come_from_the_environment(do, finished, monkeypatch):
    monkeypatch.setenv("MAPSEARCH_STORAGE", finished[1])
    assert json.loads(do("studies", "--json")[1])[0]["name"] == "tiny"
