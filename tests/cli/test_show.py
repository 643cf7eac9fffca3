import json


def test_show(do, finished):
    code, out, err = do("show", "tiny", "--storage", finished[1])
    assert code == 0
    assert "recipes: best proposals first" in out
    assert "complete: " in out
    assert "full-run equivalents" in out
    assert "next: mapsearch export tiny" in err


def test_the_storage_may_come_from_the_environment(do, finished, monkeypatch):
    monkeypatch.setenv("MAPSEARCH_STORAGE", finished[1])
    assert json.loads(do("studies", "--json")[1])[0]["name"] == "tiny"
