"""What README and docs show is so: their Python runs, their commands are commands, and those of a study are run."""

import re
import shlex
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import click
import doc_pages as pages
import matplotlib
import pytest
import torch
import yaml
from matplotlib import pyplot
from study_fixtures import write
from torch import nn

import mapsearch
from mapsearch.api.inspect import check_of
from mapsearch.cli import main as cli
from mapsearch.controller.run import run_study
from mapsearch.core.study_file import load_study

PYTHON = [block for block in pages.blocks(*pages.PAGES) if block.language == "python"]
BY_KIND = [block for block in PYTHON if block.page == "docs/your_task.md"]

ELSEWHERE = {
    ("README.md", 1): "tests/whole_studies/test_readme.py",
    ("README.md", 2): "tests/whole_studies/test_readme.py",
    ("docs/exports.md", 0): "tests/frameworks/test_loops.py",
    ("docs/exports.md", 1): "tests/frameworks/test_loops.py",
    ("docs/exports.md", 2): "tests/frameworks/test_loops.py",
    ("docs/exports.md", 3): "tests/frameworks/test_loops.py",
    ("docs/layers.md", 0): "tests/tasks/test_task.py",
    ("docs/service.md", 0): "tests/test_client.py",  # makes each of its calls; the block needs three finished studies
}
"""Blocks that other tests run."""

KEYS = {"Segmentation": "metric: miou\n", "Language models": "metric: loss\ndirection: minimize\n"}
"""What a task's section tells to write into the study file."""


def teacher_and_student():
    blocks = [nn.Sequential(nn.Linear(8, 8), nn.ReLU()) for _ in range(4)]
    return nn.Sequential(*blocks, nn.Linear(8, 2)), nn.Sequential(*blocks[:2], nn.Linear(8, 2))


def similarity_names():
    teacher, student = teacher_and_student()
    return {"teacher": teacher, "student": student, "batches": list(torch.randn(4, 64, 8))}


FAST = {
    ("README.md", 0): dict,
    ("docs/data.md", 0): dict,
    ("docs/notebook.md", 0): dict,
    ("docs/similarity.md", 0): similarity_names,
    ("docs/start.md", 0): dict,
    ("docs/training.md", 0): dict,
}
"""Block -> the names that it takes as given."""
SLOW = {("docs/port.md", 0), ("docs/train.md", 0), ("docs/loggers.md", 0)}


def test_every_block_of_python_is_run_by_some_test():
    known = {*ELSEWHERE, *FAST, *SLOW, *((block.page, block.number) for block in BY_KIND)}
    assert {(block.page, block.number) for block in PYTHON} == known
    assert all((pages.ROOT / test).is_file() for test in ELSEWHERE.values())


@pytest.mark.parametrize("page", [page for page, _ in FAST])
def test_python_that_is_quick(page, capsys):
    matplotlib.use("Agg")
    names = {"mapsearch": mapsearch, "torch": torch, **FAST[page, 0]()}
    (code,) = (block.code for block in PYTHON if (block.page, block.number) == (page, 0))
    exec(compile(code, page, "exec"), names)
    pyplot.close("all")
    if page == "docs/data.md":
        weights = names["sample_weights"](SimpleNamespace(labels=torch.tensor([0, 0, 0, 1])))
        assert weights.tolist() == pytest.approx([1 / 3, 1 / 3, 1 / 3, 1])
    if page == "docs/training.md":
        student = nn.ModuleDict({"body": nn.Linear(2, 2), "head": nn.Linear(2, 2)})
        groups = names["parameter_groups"](None, student, 0.1)
        assert [group["lr"] for group in torch.optim.AdamW(groups, lr=0.1).param_groups] == pytest.approx([0.01, 0.1])
    if page == "docs/similarity.md":
        assert names["found"].values[0][0] == pytest.approx(1)  # they share their first layer


@pytest.mark.parametrize(("page", "command"), pages.commands(*pages.PAGES))
def test_every_command_can_be_typed(page, command):
    arguments = shlex.split(command)[1:]
    known = cli.cli
    while isinstance(known, click.Group):
        assert arguments, command
        assert arguments[0] in known.commands, command
        known, arguments = known.commands[arguments[0]], arguments[1:]
    known.make_context(known.name, arguments)  # refuses an option or a value that there is not


@pytest.mark.parametrize("page", pages.PAGES)
def test_every_command_that_is_named_in_a_sentence_is_one(page):
    text = (pages.ROOT / page).read_text(encoding="utf-8")
    named = set(re.findall(r"`mapsearch ([a-z]+)", re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)))
    targets = {"torch"}  # `mapsearch torch ...` lists export targets
    assert named - targets <= set(cli.cli.commands)


def test_yaml_parses():
    assert all(yaml.safe_load(block.code) for block in pages.blocks(*pages.PAGES) if block.language == "yaml")


@pytest.mark.slow
@pytest.mark.parametrize("block", BY_KIND, ids=lambda block: block.heading)
def test_each_kind_of_task_passes_the_check(block, tmp_path):
    (tmp_path / "task.py").write_text(block.code)
    name = re.search(r"^class (\w+)\(mapsearch\.Task\)", block.code, re.MULTILINE)[1]
    text = f"name: kind\ntask: task.py:{name}\n{KEYS.get(block.heading, '')}train: {{steps: 20, batch_size: 16}}\n"
    (tmp_path / "study.yaml").write_text(text)
    report = check_of(load_study(tmp_path / "study.yaml"), f"sqlite:///{tmp_path}/study.db")
    assert [f"{f.topic}: {f.message}" for f in report.findings if f.level != "ok"] == []


@pytest.fixture(scope="module")
def folder_of_a_study(tmp_path_factory):
    """A working folder with the finished study `my-study`."""
    folder = tmp_path_factory.mktemp("user")
    study = write(folder / "my-study", name="my-study")
    run_study(load_study(study), f"sqlite:///{folder}/mapsearch.db", inline=True)
    return folder


@pytest.fixture
def workplace(folder_of_a_study, tmp_path, monkeypatch):
    """A copy of that folder, which is where the test works."""
    shutil.copytree(folder_of_a_study, tmp_path / "work")
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.delenv("MAPSEARCH_STORAGE", raising=False)
    return tmp_path / "work"


def cli_exit_code():
    try:
        cli.main()
    except SystemExit as left:
        return left.code
    return 0


NOT_RUN = {
    "serve": "runs until it is stopped: tests/serve",
    "init": "its template is a study of minutes: tests/cli/test_init.py",
    "port": "by test_python_that_needs_a_study",
    "confirm": "a study of three classes has nothing left to ask: tests/whole_studies/test_growth.py",
    "--log-to wandb": "tests/frameworks/test_trackers.py",
    "--log-to mlflow": "tests/frameworks/test_trackers.py",
    "--trial 12": "the tiny study has other numbers",
    "compare my-study other-study": "of two studies: the commands of docs/terminal.md",
    "delete": "asks: tests/cli/test_rename.py",
    "budget=thorough": "as long as it says",
}
"""Part of a command -> why it is not run here."""


@pytest.mark.slow
@pytest.mark.parametrize("page", ["README.md", "docs/start.md", "docs/train.md", "docs/terminal.md", "docs/loggers.md"])
def test_commands_of_a_study_run_as_they_stand(page, workplace, monkeypatch, capsys):
    if page == "docs/train.md":
        monkeypatch.setattr(sys, "argv", ["mapsearch", "export", "my-study", "--to", "mapsearch", "-o", "recipe.yaml"])
        assert not cli_exit_code()
    ran = 0
    for _, command in pages.commands(page):
        if not any(part in command for part in NOT_RUN):
            monkeypatch.setattr(sys, "argv", shlex.split(command))
            exit_code = cli_exit_code()
            assert not exit_code, (command, capsys.readouterr().err)
            ran += 1
    assert ran >= 1
    capsys.readouterr()


@pytest.mark.slow
@pytest.mark.parametrize("page", sorted(page for page, _ in SLOW))
def test_python_that_needs_a_study(page, workplace, monkeypatch, capsys):
    if page == "docs/port.md":
        shutil.copyfile("my-study/task.py", "task.py")
        Path("study.yaml").write_text(Path("my-study/study.yaml").read_text().replace("my-study", "new"))
        monkeypatch.setattr(sys, "argv", ["mapsearch", "rename", "my-study", "old"])
        assert not cli_exit_code()
    (code,) = (block.code for block in PYTHON if block.page == page)
    exec(compile(code, page, "exec"), {})
    made = {"docs/port.md": "mapsearch.db", "docs/train.md": "student/metrics.json", "docs/loggers.md": "logs"}
    assert Path(made[page]).exists()
