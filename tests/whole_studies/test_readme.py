"""The README's Python runs as it stands, and its sample study file is what it says: the defaults."""

import re
from pathlib import Path

import pytest
import yaml

from mapsearch.api.scaffold import copy_template
from mapsearch.core.spec import StudySpec

README = Path(__file__).parents[2] / "README.md"
BLOCKS = re.findall(r"```(python|yaml)\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
PYTHON = [code for language, code in BLOCKS if language == "python" and code.startswith("import")]


def test_the_readme_has_the_examples_that_are_run_here():
    assert len(PYTHON) == 2
    assert len(README.read_text(encoding="utf-8").splitlines()) <= 150


def test_the_pieces_that_work_without_a_study():
    scope = {}
    exec(compile(PYTHON[1], README, "exec"), scope)
    assert len(scope["similarity"].values) == 3
    assert len(scope["similarity"].values[0]) == 6
    assert scope["total"].requires_grad


@pytest.mark.slow
def test_a_study_from_python(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    study, _ = copy_template("vision", Path("my-study"))
    small = {"trials: 16": "trials: 2", "finalists: 2, seeds: 14": "finalists: 1, seeds: 4"}
    text = study.read_text()
    for old, new in small.items():
        assert old in text
        text = text.replace(old, new)
    study.write_text(text)
    scope = {}
    exec(compile(PYTHON[0], README, "exec"), scope)
    assert scope["verdict"].sentence in capsys.readouterr().out
    assert scope["best"]["output_weight"] >= 0
    assert '"""The distillation loss' in Path("distill.py").read_text().splitlines()[1]


def test_the_study_file_shown_is_the_defaults():
    (shown,) = (yaml.safe_load(code) for language, code in BLOCKS if language == "yaml")
    plain = StudySpec(name=shown["name"], task=shown["task"])
    assert StudySpec.model_validate(shown).to_json() == plain.to_json()
