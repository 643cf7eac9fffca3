import json


def test_check(do, write_study):
    study = write_study()
    code, out, err = do("check", study)
    assert code == 0
    assert "full-run equivalents" in out
    assert f"next: mapsearch run {study}" in err
    found = json.loads(do("check", study, "--json")[1])
    assert found["teacher_metrics"]["accuracy"] > 0.5
    assert {"level", "topic", "message"} <= set(found["findings"][0])


def test_each_error_is_printed_once(do, write_study):
    code, out, err = do("check", write_study(metric="acuracy"))
    assert code == 2
    assert "error" not in out
    assert err.count("acuracy") == 1
    assert "next:" not in err


def test_all_findings_are_in_the_json_and_the_exit_code_says_that_some_are_errors(do, write_study):
    code, out, err = do("check", write_study(metric="acuracy"), "--json")
    assert code == 2
    errors = [finding for finding in json.loads(out)["findings"] if finding["level"] == "error"]
    assert any("acuracy" in finding["message"] for finding in errors)
    assert err.count("error: ") == 1
    assert f"{len(errors)} of the findings are errors" in err


def test_moved_keys_are_answered_with_their_new_place_once(do, write_study):
    code, out, err = do("check", write_study(train={"cohort": 4}))
    assert code == 0
    assert err.count("`train.cohort` is now `execution.cohort`") == 1
    assert "cohort of 4" in out
