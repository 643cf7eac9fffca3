from study_fixtures import write


def test_what_a_study_would_take_is_told_and_nothing_is_stored(start, tmp_path):
    (tmp_path / "studies").mkdir()
    write(tmp_path / "studies" / "tiny")
    storage = f"sqlite:///{tmp_path / 'study.db'}"
    service = start("--storage", storage, "--studies", tmp_path / "studies")
    assert [folder["name"] for folder in service.call("GET", "/folders").json] == ["tiny"]
    few, many = (
        service.call("POST", "/folders/tiny/forecast", {"settings": {"search.trials": n}}).json for n in (4, 40)
    )
    n_searched = [{stage["stage"]: stage["n_runs"] for stage in plan["stages"]}["search"] for plan in (few, many)]
    assert n_searched[1] - n_searched[0] == 36
    assert sum(stage["n_runs"] for stage in few["stages"]) == few["n_runs"]
    assert service.call("POST", "/folders/tiny/forecast", {"settings": {"trian": 1}}).status == 422
    assert service.call("POST", "/folders/tiny/forecast", {"settings": {"task": "os:system"}}).status == 422
    assert service.call("POST", "/folders/..%2ftiny/forecast", {"settings": {}}).status in (404, 422)
    assert not (tmp_path / "study.db").exists()
