import json


def test_studies(do, finished):
    code, out, _ = do("studies", "--storage", finished[1])
    assert code == 0
    assert "tiny" in out
    (study,) = json.loads(do("studies", "--storage", finished[1], "--json")[1])
    assert (study["name"], study["state"], study["n_runs"]) == ("tiny", "complete", study["n_complete"])
    assert study["verdict"]
