import os
import subprocess
import sys
from pathlib import Path

import pytest

from mapsearch.cli import main as cli

ROOT = Path(__file__).parents[2]
COMMANDS = sorted(cli.cli.commands)


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


@pytest.mark.parametrize("command", ["run", "check", "layers", "similarity"])
def test_a_mistake_in_a_study_file_waits_for_nothing_heavy(tmp_path, command):
    (tmp_path / "study.yaml").write_text("name: a\ntask: t.py:T\ntrian: {}\n")
    code = f"""
import sys
from mapsearch.cli import main as cli
sys.argv = ["mapsearch", {command!r}, {str(tmp_path / "study.yaml")!r}]
try:
    cli.main()
except SystemExit as left:
    heavy = ("torch", "numpy", "scipy", "optuna", "sqlalchemy", "matplotlib", "rich")
    print(left.code, [name for name in heavy if name in sys.modules])
"""
    assert python(code) == "2 []\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_help_ends_with_an_example(do, command):
    code, out, _ = do(command, "--help")
    last = [line for line in out.splitlines() if line.strip()][-2:]
    assert code == 0
    assert last[0].strip() == "Example:"
    assert last[1].split()[:2] == ["mapsearch", command]


def test_all_commands_are_there(do):
    assert [command.name for command in cli.COMMANDS] == list(cli.cli.commands)
    assert COMMANDS == [
        "check",
        "clean",
        "compare",
        "confirm",
        "copy",
        "db",
        "delete",
        "export",
        "init",
        "layers",
        "note",
        "port",
        "rename",
        "report",
        "run",
        "schema",
        "serve",
        "show",
        "similarity",
        "studies",
        "train",
    ]
    code, out, _ = do()
    assert code == 0
    assert all(name in out for name in COMMANDS)
    assert do("--version")[1].strip().endswith("0.1.0")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["shw", "x"], "no command `shw`; did you mean `show`?"),
        (["show", "x", "--jsn"], "--jsn"),
        (["show"], "missing argument"),
        (
            ["similarity", "study/study.yaml", "--plot", "x.jpg"],
            "a picture must end with .png or .svg, but got `x.jpg`",
        ),
        (["init", "new", "--template", "visio"], "'visio' is not one of 'vision', 'text', 'embedding'"),
    ],
)
def test_a_command_typed_wrong(refused, write_study, arguments, message):
    write_study()
    (line,) = refused(*arguments)
    assert message in line


@pytest.mark.parametrize(
    ("storage", "message"),
    [
        ("nonsense", "database URL"),
        ("mysql://x/y", "mysql://x/y"),
        ("sqlite:///{folder}", "is a folder"),
        ("sqlite:///{folder}/study/task.py", "file is not a database"),
        ("sqlite:///{folder}/nowhere/x.db", "nowhere` does not exist"),
        ("sqlite://", "name a file"),
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
    assert line.startswith("error: ")
    assert "sqlite:///mapsearch.db" in line
    assert "`mapsearch run STUDY.yaml`" in line
    assert not list(tmp_path.iterdir())


def test_what_nobody_expected_is_one_line_too(do, write_study, monkeypatch):
    monkeypatch.setattr("mapsearch.api.inspect.layers_of", lambda *_: 1 / 0)
    code, _, err = do("layers", write_study())
    (line,) = err.splitlines()
    assert code == 1
    assert line.startswith("error: ")
    assert all(part in line for part in ("ZeroDivisionError: division by zero", "--debug"))


def test_where_memory_runs_out_the_way_out_is_told(do, write_study, monkeypatch):
    monkeypatch.setattr("mapsearch.api.inspect.layers_of", lambda *_: bytearray(2**62))
    code, _, err = do("layers", write_study())
    assert (code, err.count("\n")) == (1, 1)
    assert all(part in err for part in ("error: memory ran out", "`train.batch_size`"))


@pytest.mark.parametrize("place", [0, 1, 2])
def test_debug_may_stand_anywhere(do, write_study, place):
    from mapsearch.core.errors import TaskError

    arguments = ["check", write_study(task="task.py:Nobody")]
    arguments.insert(place, "--debug")
    with pytest.raises(TaskError, match="has no class `Nobody`"):
        do(*arguments)


def test_after_two_dashes_debug_is_a_name_like_any_other(refused, finished):
    assert "no study `--debug`" in refused("show", "--storage", finished[1], "--", "--debug")[0]


def test_a_command_typed_wrong_names_its_help(refused):
    assert refused("show")[0].endswith("; see `mapsearch show --help`")


def test_code_of_the_study_that_ends_the_process_is_an_error(do, write_study, monkeypatch):
    monkeypatch.setattr("mapsearch.api.inspect.layers_of", lambda *_: sys.exit(0))
    code, _, err = do("layers", write_study())
    assert code == 1
    assert "error: the study's own code ended the process: sys.exit(0)" in err


@pytest.mark.parametrize("command", [["show", "tiny"], ["show", "tiny", "--json"]])
def test_where_nobody_reads_on_a_command_ends_in_silence(finished, command):
    reader, writer = os.pipe()
    os.close(reader)
    environment = {**os.environ, "MAPSEARCH_STORAGE": finished[1]}
    with os.fdopen(writer, "wb") as nobody:
        called = [sys.executable, "-m", "mapsearch", *command]
        done = subprocess.run(called, stdout=nobody, stderr=subprocess.PIPE, text=True, env=environment)
    assert "error" not in done.stderr.lower()


def test_a_command_that_is_interrupted_ends_with_130(do, write_study, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("mapsearch.api.inspect.layers_of", interrupt)
    assert do("layers", write_study()) == (130, "", "\ninterrupted\n")


def test_a_reader_that_leaves_early_is_no_traceback(finished):
    command = [sys.executable, "-m", "mapsearch", "show", "tiny", "--json", "--storage", finished[1]]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 1


def test_completion_waits_for_nothing_heavy():
    code = """
import os, sys
os.environ |= {"_MAPSEARCH_COMPLETE": "bash_complete", "COMP_WORDS": "mapsearch sho", "COMP_CWORD": "1"}
sys.argv = ["mapsearch"]
from mapsearch.cli import main as cli
try:
    cli.main()
except SystemExit:
    print([name for name in ("torch", "numpy", "optuna", "sqlalchemy", "rich") if name in sys.modules])
"""
    assert python(code) == "plain,show\n[]\n"
