import json
import shutil

import pytest

from mapsearch.store.store import Store


def test_run_prints_the_verdict_and_the_next_step(do, finished, tmp_path):
    url = f"sqlite:///{shutil.copy(finished[1].removeprefix('sqlite:///'), tmp_path / 'copy.db')}"
    code, out, err = do("run", finished[0], "--storage", url)
    assert code == 0
    sentence = json.loads(do("show", "tiny", "--storage", url, "--json")[1])["verdict"]["sentence"]
    assert out.splitlines()[-1] == sentence
    assert "nominee:" in err
    assert all(command in err for command in ("mapsearch show tiny", "mapsearch export tiny --to torch"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: [", "not valid YAML"),
        ("- 1", "but got list"),
        ("name: a\ntask: t.py:T\ntrian: {}", "unknown key `trian`; did you mean `train`?"),
        ("name: a\ntask: t.py:T\ntrain: {lr: -1}", "`train.lr`: input should be greater than 0, but got -1"),
        ("name: a\ntask: t.py:T\nspace: {temperature: [0]}", "`space.temperature.0`"),
        ("name: a\ntask: t.py:T\nspace: {temperature: [hot]}", "`space.temperature.0`"),
        ("name: a\ntask: t.py:T\nspace: {temperature: [.nan]}", "`space.temperature.0`"),
        ("name: a\ntask: t.py:T\nmetric: val_loss", "`direction`: "),
        ("name: a\ntask: t.py:T\nsimilarity: {samples: 7}", "`similarity.samples`"),
    ],
)
def test_a_bad_study_file(refused, tmp_path, text, message):
    (tmp_path / "study.yaml").write_text(text)
    lines = refused("run", "study.yaml")
    assert any(line.startswith("error: study.yaml: ") and message in line for line in lines)
    assert [path.name for path in tmp_path.iterdir()] == ["study.yaml"], "nothing is stored"


def test_all_problems_of_a_file_come_at_once(refused, tmp_path):
    (tmp_path / "study.yaml").write_text("nme: a\ntrain: {step: 4, lr: x}\n")
    lines = refused("run", "study.yaml")
    assert len(lines) == 5
    assert sum("did you mean" in line for line in lines) == 2


def test_no_study_file(refused):
    (line,) = refused("run", "nowhere.yaml")
    assert line.startswith("error: nowhere.yaml: the study file cannot be read")


def test_a_folder_in_place_of_its_study_file_is_told(refused, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "study.yaml").write_text("name: mine")
    (line,) = refused("run", "mine")
    assert line.endswith("did you mean the file `mine/study.yaml`?")
    (line,) = refused("check", "mine")
    assert line.endswith("did you mean `mine/study.yaml`?")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"task": "tsk.py:Clusters"}, r"tsk.py` does not exist; did you mean `task.py`?"),
        ({"task": "task.py:Cluster"}, "task.py has no class `Cluster`; did you mean `Clusters`?"),
        ({"task": "task.py:Net"}, "`Net` must be a subclass of `mapsearch.Task`"),
        ({"options": {"n_labels": 3}}, "`options` of `Clusters`: got an unexpected keyword argument 'n_labels'"),
        ({"metric": "acuracy"}, "did you mean `accuracy`?"),
        ({"layers": {"teacher": ["blocks.9"]}}, "teacher has no layer `blocks.9`; did you mean"),
        ({"layers": {"student": ["conv*"]}}, "student has no layer `conv*`"),
        ({"layers": {"student": ["blocks"]}}, "`blocks`"),
        ({"execution": {"devices": "gpu"}}, "`execution.devices`: `gpu` is not a device"),
    ],
)
@pytest.mark.parametrize("command", ["run", "check"])
def test_a_study_that_cannot_run(do, write_study, tmp_path, command, changes, message):
    code, _, err = do(command, write_study(**changes))
    errors = [line for line in err.splitlines() if line.startswith("error: ")]
    assert code == 2
    assert any(message in line for line in errors), errors
    assert "Traceback" not in err
    if command == "check":
        assert not list(tmp_path.glob("*.db")), "a check stores nothing"
    else:
        with Store.open_to_read(f"sqlite:///{tmp_path / 'mapsearch.db'}") as store:
            assert store.study("tiny").state == "failed"


def test_changed_settings_are_listed(refused, finished, write_study, tmp_path):
    url = f"sqlite:///{shutil.copy(finished[1].removeprefix('sqlite:///'), tmp_path / 'copy.db')}"
    (line,) = refused("run", write_study(train={"steps": 14}, seed=1), "--storage", url)
    assert "`seed`: 0 -> 1, `train.steps`: 12 -> 14" in line


def test_a_failed_study_exits_with_1_and_the_users_error(do, write_study):
    code, _, err = do("run", write_study(task="task.py:Crashing", train={"steps": 40}), "--inline")
    assert code == 1
    assert any(
        line.startswith("error: ") and "RuntimeError: the tape is full (task.py:" in line for line in err.splitlines()
    )
    assert "Traceback" not in err
