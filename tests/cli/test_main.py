"""Every command as a user types it: the result on stdout, the rest on stderr, one clear line for every mistake."""

import csv
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest
import yaml

from mapsearch.cli import main as cli
from mapsearch.core.similarity import Similarity
from mapsearch.exports.capability import TargetName
from mapsearch.exports.targets import TARGETS

ROOT = Path(__file__).parents[2]
COMMANDS = sorted(cli.cli.commands)


@pytest.fixture
def do(monkeypatch, capsys, tmp_path):
    """`do(*arguments)` -> (exit code, stdout, stderr) of `mapsearch ...` in the test's own folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MAPSEARCH_STORAGE", raising=False)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["mapsearch", *map(str, arguments)])
        capsys.readouterr()
        code = 0
        try:
            cli.main()
        except SystemExit as left:
            code = left.code or 0
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


@pytest.fixture
def refused(do):
    """`refused(*arguments)` -> the error lines of a command that must end with code 2, no result and no traceback."""

    def run(*arguments):
        code, out, err = do(*arguments)
        lines = [line for line in err.splitlines() if line.startswith("error: ")]
        assert (code, out, "Traceback" in err) == (2, "", False), (code, out, err)
        assert lines, err
        return lines

    return run


def python(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    return done.stdout


def test_help_and_lists_wait_for_nothing_heavy(finished):
    asked = [["--help"], *([name, "--help"] for name in COMMANDS)]
    heavy = ("torch", "optuna", "scipy", "matplotlib", "numpy")
    code = f"""
import sys
from mapsearch.cli import main as cli
from mapsearch.core.similarity import Similarity
for arguments in {asked!r}:
    cli.cli.main(arguments, standalone_mode=False)
loaded = [name for name in (*{heavy!r}, "sqlalchemy", "pydantic", "rich") if name in sys.modules]
for arguments in (["show", "tiny"], ["show", "tiny", "--json"], ["studies"], ["studies", "--json"]):
    cli.cli.main([*arguments, "--storage", {finished[1]!r}], standalone_mode=False)
print("LOADED", loaded, [name for name in (*{heavy!r}, "alembic", "pydantic") if name in sys.modules])
"""
    assert python(code).splitlines()[-1] == "LOADED [] []"


@pytest.mark.parametrize("command", COMMANDS)
def test_help_ends_with_an_example(do, command):
    code, out, _ = do(command, "--help")
    last = [line for line in out.splitlines() if line.strip()][-2:]
    assert code == 0
    assert last[0].strip() == "Example:"
    assert last[1].split()[:2] == ["mapsearch", command]


def test_all_commands_are_there(do):
    assert COMMANDS == ["check", "export", "init", "layers", "run", "schema", "show", "similarity", "studies"]
    code, out, _ = do()
    assert code == 0
    assert all(name in out for name in COMMANDS)
    assert do("--version")[1].strip().endswith("0.1.0")


# What each command prints


def test_layers(do, write_study):
    study = write_study()
    code, out, _ = do("layers", study)
    assert code == 0
    assert "teacher: " in out
    assert "blocks.3" in out
    found = json.loads(do("layers", study, "--json")[1])
    assert [x["path"] for x in found["student"] if x["path"].startswith("blocks.") and x["path"].count(".") == 1] == [
        "blocks.0",
        "blocks.1",
    ]
    assert {"path", "type", "kind", "shape", "calls", "problem"} <= set(found["teacher"][0])
    assert any(x["path"] == "blocks" and x["problem"] for x in found["teacher"]), "a container says why not"


def test_check(do, write_study):
    study = write_study()
    code, out, err = do("check", study)
    assert code == 0
    assert "full-run equivalents" in out
    assert f"next: mapsearch run {study}" in err
    found = json.loads(do("check", study, "--json")[1])
    assert found["teacher_metrics"]["accuracy"] > 0.5
    assert {"level", "topic", "message"} <= set(found["findings"][0])


def test_similarity(do, write_study):
    study = write_study()
    code, out, _ = do("similarity", study)
    assert code == 0
    assert "noise floor" in out
    found = json.loads(do("similarity", study, "--json")[1])
    assert found["student_layers"] == ["blocks.0", "blocks.1"]
    assert found["teacher_layers"] == [f"blocks.{i}" for i in range(4)]
    assert [len(row) for row in found["values"]] == [4, 4]
    assert (found["measure"], found["n_samples"]) == ("cka", 64)
    assert 0 < found["noise_floor"] < 1


@pytest.mark.parametrize(("name", "begins"), [("x.png", b"\x89PNG"), ("x.svg", b"<?xml")])
def test_similarity_draws(do, write_study, tmp_path, name, begins):
    assert do("similarity", write_study(), "--plot", name)[0] == 0
    assert (tmp_path / name).read_bytes().startswith(begins)


def test_similarity_as_csv(do, write_study):
    code, out, err = do("similarity", write_study(), "--csv")
    rows = list(csv.DictReader(out.splitlines()))
    assert (code, len(rows)) == (0, 2 * 4)
    assert {row["above_noise"] for row in rows} <= {"true", "false"}
    assert "next:" not in err


def test_similarity_against_an_earlier_one(do, write_study, tmp_path):
    study = write_study()
    (tmp_path / "a.json").write_text(do("similarity", study, "--json")[1])
    data = json.loads((tmp_path / "a.json").read_text())
    assert "the student is untrained" in data["notes"]
    data["values"][1] = data["values"][1][::-1]
    (tmp_path / "b.JSON").write_text(json.dumps(data))
    code, out, err = do("similarity", study, "--against", "b.JSON", "--plot", "c.SVG")
    assert code == 0
    assert out.splitlines()[-1].startswith("rank correlation ")
    assert "next: mapsearch run" in err
    assert "after - before" in (tmp_path / "c.SVG").read_text()
    found = json.loads(do("similarity", "a.json", "--against", "b.JSON", "--json")[1])
    assert found["before"] == data
    assert found["largest"]["student"] == "blocks.1"
    assert json.loads(do("similarity", "a.json", "--json")[1]) == json.loads((tmp_path / "a.json").read_text())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--csv", "--json"], "--csv cannot go with --json; choose one"),
        (["--csv", "--against", "a.json"], "--csv cannot go with --against; choose one"),
        (["--against", "no.json"], "no.json: cannot be read: No such file or directory; `--json` writes such a file"),
        (["--against", "study/study.yaml"], "study.yaml: not valid JSON"),
        (["--against", "keys.json"], "keys.json: unknown key `layers`; did you mean"),
        (["--against", "other.json"], "must have the same student layers, but only the first has `a` and only the"),
        (["--plot", "x"], "must end with .png or .svg, but got `x`"),
    ],
)
def test_a_similarity_asked_wrong(refused, write_study, tmp_path, arguments, message):
    study = write_study()
    (tmp_path / "keys.json").write_text('{"layers": 1}')
    other = Similarity(("a",), ("b",), ((0.5,),), 0.1, "cka", 64, "rows")
    (tmp_path / "other.json").write_text(json.dumps(other.to_json()))
    (line,) = refused("similarity", study, *arguments)
    assert message in line


def test_run_prints_the_verdict_and_the_next_step(do, finished, tmp_path):
    url = f"sqlite:///{shutil.copy(finished[1].removeprefix('sqlite:///'), tmp_path / 'copy.db')}"
    code, out, err = do("run", finished[0], "--storage", url)
    assert code == 0
    sentence = json.loads(do("show", "tiny", "--storage", url, "--json")[1])["verdict"]["sentence"]
    assert out.splitlines()[-1] == sentence
    assert "nominee:" in err
    assert "next: mapsearch show tiny; mapsearch export tiny --to torch -o distill.py --verify" in err


def test_show(do, finished):
    code, out, err = do("show", "tiny", "--storage", finished[1])
    assert code == 0
    assert "recipes: best proposals first" in out
    assert "complete: " in out
    assert "full-run equivalents" in out
    assert "next: mapsearch export tiny" in err


def test_studies(do, finished):
    code, out, _ = do("studies", "--storage", finished[1])
    assert code == 0
    assert "tiny" in out
    (study,) = json.loads(do("studies", "--storage", finished[1], "--json")[1])
    assert (study["name"], study["state"], study["n_runs"]) == ("tiny", "complete", study["n_complete"])
    assert study["verdict"]


def test_the_storage_may_come_from_the_environment(do, finished, monkeypatch):
    monkeypatch.setenv("MAPSEARCH_STORAGE", finished[1])
    assert json.loads(do("studies", "--json")[1])[0]["name"] == "tiny"


@pytest.mark.parametrize(("target", "name"), [("torch", "distill.py"), ("mapsearch", "recipe.yaml")])
def test_export_writes_and_verifies(do, finished, tmp_path, target, name):
    code, out, err = do("export", "tiny", "--to", target, "-o", name, "--verify", "--storage", finished[1])
    assert (code, err) == (0, "")
    assert "verified, one batch: loss" in out
    assert (tmp_path / name).stat().st_size > 0


def test_a_file_exported_earlier_is_verified_by_itself(do, refused, finished, tmp_path):
    storage = ["--storage", finished[1]]
    assert do("export", "tiny", "--to", "torch", "-o", "x.py", *storage)[0] == 0
    code, out, err = do("export", "tiny", "--to", "torch", "--verify", "x.py", *storage)
    assert (code, err) == (0, "")
    assert re.match(r"x\.py, trial \d+ of tiny: verified, one batch: loss ", out)
    text = (tmp_path / "x.py").read_text()
    edited = re.sub(r"TASK_MULTIPLIER = .*", "TASK_MULTIPLIER = 7.0", text)
    (tmp_path / "x.py").write_text(edited)
    assert (
        "x.py: the loss of the recipe and of the file must be equal"
        in refused("export", "tiny", "--to", "torch", "--verify", "x.py", *storage)[0]
    )
    assert (tmp_path / "x.py").read_text() == edited, "it is the user's file and stays"


def test_a_file_is_held_against_the_trial_that_its_header_names(do, refused, finished, tmp_path):
    storage = ["--storage", finished[1]]
    trials = json.loads(do("show", "tiny", "--json", *storage)[1])["trials"]
    number = next(t["number"] for t in trials if t["proposer"] == "curve" and t["state"] == "complete")
    assert do("export", "tiny", "--to", "mapsearch", "-o", "x.yaml", "--trial", number, *storage)[0] == 0
    assert f"trial {number} of tiny" in do("export", "tiny", "--to", "mapsearch", "--verify", "x.yaml", *storage)[1]
    text = (tmp_path / "x.yaml").read_text().replace("# study: tiny,", "# study: other,")
    (tmp_path / "x.yaml").write_text(text)
    (line,) = refused("export", "tiny", "--to", "mapsearch", "--verify", "x.yaml", *storage)
    assert line == "error: x.yaml is of study `other` by its header, but `tiny` was given"
    (line,) = refused("export", "tiny", "--to", "mapsearch", "--verify", "none.yaml", *storage)
    assert line.startswith("error: none.yaml: the exported file cannot be read: ")


def test_what_is_written_and_what_is_looked_at_are_told_apart(refused, finished):
    storage = ["--storage", finished[1]]
    assert "-o FILE says where to write" in refused("export", "tiny", "--to", "torch", *storage)[0]
    (line,) = refused("export", "tiny", "--to", "torch", "--verify", "x.py", "-o", "y.py", *storage)
    assert line == "error: --verify x.py writes nothing; leave out -o, --schema and --lossy"


@pytest.mark.parametrize("target", [name for name in get_args(TargetName) if TARGETS[name].missing][:1])
def test_without_its_framework_the_file_is_left_and_said_to_be_not_verified(target, refused, finished, tmp_path):
    (line,) = refused("export", "tiny", "--to", target, "-o", "x", "--lossy", "--verify", "--storage", finished[1])
    assert re.search(r"^error: trial \d+ of tiny written to x.*; not verified: running it needs ", line)
    assert f"; {TARGETS[target].install}, then `mapsearch export tiny --to {target} --verify x`" in line
    assert (tmp_path / "x").exists()


def test_the_schema_knows_every_key_of_the_shipped_studies(do):
    schema = json.loads(do("schema")[1])
    assert schema["type"] == "object"
    assert not schema["additionalProperties"]
    shipped = [*ROOT.glob("studies/**/study.yaml"), *ROOT.glob("mapsearch/templates/**/study.yaml")]
    assert len(shipped) >= 3
    for path in shipped:
        data = yaml.safe_load(path.read_text())
        assert set(schema["required"]) <= set(data)
        assert_known(data, schema, schema)


def assert_known(data, schema, whole):
    schema = whole["$defs"][schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
    if isinstance(data, dict) and "properties" in schema:
        assert set(data) <= set(schema["properties"])
        for key, value in data.items():
            assert_known(value, schema["properties"][key], whole)
    types = {"string": str, "integer": int, "number": (int, float), "array": list, "object": dict}
    if schema.get("type") in types:
        assert isinstance(data, types[schema["type"]])


# What is wrong gets one clear line


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["shw", "x"], "no command `shw`; did you mean `show`?"),
        (["show", "x", "--jsn"], "--jsn"),
        (["show"], "Missing argument"),
        (
            ["similarity", "study/study.yaml", "--plot", "x.jpg"],
            "a picture must end with .png or .svg, but got `x.jpg`",
        ),
        (["init", "new", "--template", "visio"], "'visio' is not one of 'vision', 'text'"),
    ],
)
def test_a_command_typed_wrong(refused, write_study, arguments, message):
    write_study()
    (line,) = refused(*arguments)
    assert message in line


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: [", "not valid YAML"),
        ("- 1", "a study file is a mapping of keys to values, but got list"),
        ("name: a\ntask: t.py:T\ntrian: {}", "unknown key `trian`; did you mean `train`?"),
        ("name: a\ntask: t.py:T\ntrain: {lr: -1}", "`train.lr`: input should be greater than 0, but got -1"),
        ("name: a\ntask: t.py:T\nspace: {temperature: [0]}", "`space.temperature.0`"),
        ("name: a\ntask: t.py:T\nspace: {temperature: [hot]}", "`space.temperature.0`"),
        ("name: a\ntask: t.py:T\nspace: {temperature: [.nan]}", "`space.temperature.0`"),
        ("name: a\ntask: t.py:T\nmetric: loss", "metric `loss` looks like a loss, but direction is maximize"),
        ("name: a\ntask: t.py:T\nsimilarity: {samples: 8}", "`similarity.samples`"),
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
    assert not list(tmp_path.glob("*.db")), "nothing is stored"


def test_too_few_samples_for_a_similarity(refused, write_study):
    study = write_study()
    task = study.parent / "task.py"
    task.write_text(task.read_text().replace("return points(128, 1)", "return points(48, 1)"))
    (line,) = refused("similarity", study)
    assert "similarity: at least 64 samples must be given, but got 48" in line


def test_a_plot_that_cannot_be_written(refused, write_study):
    (line,) = refused("similarity", write_study(), "--plot", "nowhere/x.png")
    assert line.startswith("error: nowhere/x.png: cannot be written: ")


@pytest.mark.parametrize(
    ("storage", "message"),
    [
        ("nonsense", "the storage must be a database URL"),
        ("mysql://x/y", "no such kind of study database"),
        ("sqlite:///{folder}", "the study database cannot be used: unable to open database file"),
        ("sqlite:///{folder}/study/task.py", "the study database cannot be used: file is not a database"),
        ("sqlite:///{folder}/nowhere/x.db", "nowhere` does not exist"),
        ("sqlite://", "a study must outlive its process"),
    ],
)
@pytest.mark.parametrize("command", ["run", "show", "studies"])
def test_a_storage_that_is_none(refused, write_study, tmp_path, command, storage, message):
    study = write_study()
    named = {"run": [study], "show": ["tiny"], "studies": []}[command]
    (line,) = refused(command, *named, "--storage", storage.format(folder=tmp_path))
    assert message in line
    assert not list(tmp_path.glob("*.db"))


@pytest.mark.parametrize("command", ["show", "studies"])
def test_no_database_yet(refused, tmp_path, command):
    (line,) = refused(command, *(["tiny"] if command == "show" else []))
    assert line == "error: no study database at sqlite:///mapsearch.db; `mapsearch run STUDY.yaml` creates it"
    assert not list(tmp_path.iterdir())


def test_an_unknown_study_trial_or_target(refused, finished, tmp_path):
    storage = ["--storage", finished[1]]
    assert "no study `tinny`" in refused("show", "tinny", *storage)[0]
    assert "did you mean `tiny`?" in refused("show", "tinny", *storage)[0]
    assert "trial 999" in refused("export", "tiny", "--to", "torch", "-o", "x.py", "--trial", "999", *storage)[0]
    (line,) = refused("export", "tiny", "--to", "troch", "-o", "x.py", *storage)
    assert "unknown target `troch`; did you mean `torch`?" in line
    assert not list(tmp_path.iterdir())


def test_an_output_that_is_there_is_not_overwritten(refused, finished, tmp_path):
    (tmp_path / "x.py").write_text("mine")
    (line,) = refused("export", "tiny", "--to", "torch", "-o", "x.py", "--storage", finished[1])
    assert line.startswith("error: x.py already exists; ")
    assert (tmp_path / "x.py").read_text() == "mine"


def test_changed_settings_are_listed(refused, finished, write_study, tmp_path):
    url = f"sqlite:///{shutil.copy(finished[1].removeprefix('sqlite:///'), tmp_path / 'copy.db')}"
    (line,) = refused("run", write_study(train={"steps": 14}, seed=1), "--storage", url)
    assert "`seed`: 0 -> 1, `train.steps`: 12 -> 14" in line


def test_a_failed_study_exits_with_1_and_the_users_error(do, write_study):
    code, _, err = do("run", write_study(task="task.py:Crashing", train={"steps": 40}), "--inline")
    assert code == 1
    assert "error: stage tune: all 6 runs failed; the first: RuntimeError: the tape is full (task.py:" in err
    assert "Traceback" not in err


def test_debug_shows_where(do, write_study):
    from mapsearch.core.errors import TaskError

    with pytest.raises(TaskError, match="has no class `Nobody`"):
        do("--debug", "check", write_study(task="task.py:Nobody"))


def test_what_nobody_expected_is_one_line_too(do, write_study, monkeypatch):
    monkeypatch.setattr("mapsearch.api.inspect.layers_of", lambda *_: 1 / 0)
    code, _, err = do("layers", write_study())
    assert (code, err) == (
        1,
        "error: unexpected ZeroDivisionError: division by zero; `mapsearch --debug ...` shows where\n",
    )


# The templates


@pytest.mark.parametrize("template", ["vision", "text"])
def test_a_template_passes_its_check(do, template):
    code, out, err = do("init", "new", "--template", template)
    assert code == 0
    assert out.split() == ["new/study.yaml", "new/task.py"]
    assert "next: mapsearch run new/study.yaml" in err
    assert do("check", "new/study.yaml")[0] == 0


def test_init_overwrites_nothing(refused, do):
    do("init", "new")
    (line,) = refused("init", "new")
    assert line == "error: new/study.yaml, new/task.py already there; choose another folder or delete the old study"


@pytest.mark.slow
@pytest.mark.parametrize("template", ["vision", "text"])
@pytest.mark.timeout(900)
def test_a_template_runs_as_it_is_written(do, template):
    do("init", "new", "--template", template)
    code, out, _ = do("run", "new/study.yaml")
    assert code == 0
    assert "recommended: trial" in out
    (name,) = [study["name"] for study in json.loads(do("studies", "--json")[1])]
    assert do("export", name, "--to", "torch", "-o", "distill.py", "--verify")[0] == 0
