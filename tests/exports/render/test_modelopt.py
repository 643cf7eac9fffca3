"""The ModelOpt builder as text; ModelOpt itself is in `tests/frameworks`."""

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mapsearch.exports.source import multipliers
from mapsearch.exports.write import write


def constants(text):
    """The constants at the head of a file, before its first function; others belong to the source that it contains."""
    found = {}
    for node in ast.parse(text).body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            return found
        if isinstance(node, (ast.Assign, ast.AnnAssign)):
            name = node.target if isinstance(node, ast.AnnAssign) else node.targets[0]
            found[name.id] = ast.literal_eval(node.value)
    return found


def test_the_mapping_stands_in_the_file_as_data(distilled, tmp_path):
    source = distilled("images").source
    write("modelopt", source, tmp_path / "kd.py")
    told = constants((tmp_path / "kd.py").read_text())
    assert [(s, t) for s, t, *_ in told["TERMS"]] == [
        ("blocks.0", ["blocks.0"]),
        ("blocks.0", ["blocks.1"]),
        ("blocks.1", ["blocks.2"]),
    ]
    assert tuple(multiplier for _, _, multiplier, _ in told["TERMS"]) == multipliers(source.recipe, source.scales)
    assert told["TERMS"][0][3]["projector"]["projection"] == "linear"
    assert (told["TEMPERATURE"], told["ANNEAL"]) == (3.0, 0.5)
    assert told["TASK_MULTIPLIER"] == pytest.approx(0.3)


def test_a_file_has_what_its_recipe_uses(distilled, tmp_path):
    write("modelopt", distilled("tags", pairs=False, output_weight=0.0).source, tmp_path / "task.py")
    write("modelopt", distilled("tags", pairs=False).source, tmp_path / "outputs.py")
    write("modelopt", distilled("tags", aggregation="mix").source, tmp_path / "mix.py")
    found = {path.stem: set(re.findall(r"^(?:class|def) (\w+)", path.read_text(), re.M)) for path in tmp_path.iterdir()}
    assert found["task"] == {"build", "finish", "Multipliers"}
    assert {"OutputLoss", "kl", "logits_of"} <= found["outputs"]
    assert not {"Aliases", "FeatureLoss", "Projector"} & found["outputs"]
    assert {"FeatureLoss", "MixedTerm", "Mixture", "Aliases", "LayerHooks"} <= found["mix"]


def test_the_files_are_clean_python_without_mapsearch(distilled, tmp_path):
    if shutil.which("ruff", path=str(Path(sys.executable).parent)) is None:
        pytest.skip("ruff is not installed")
    recipes = [{}, {"aggregation": "mix", "loss": "vid"}, {"pairs": False}, {"pairs": False, "output_weight": 0.0}]
    for number, fields in enumerate(recipes):
        for target in ("modelopt", "torchdistill"):
            write(target, distilled("tags", **fields).source, tmp_path / f"{target}_{number}.py")
    for path in tmp_path.glob("torchdistill_?.py"):
        path.unlink()  # those are YAML
    assert len(list(tmp_path.iterdir())) == 8
    assert not [p for p in tmp_path.iterdir() if re.search(r"^\s*(from|import) mapsearch", p.read_text(), re.M)]
    ruff = [Path(sys.executable).parent / "ruff"]
    options = ["--isolated", "--no-cache", "--line-length", "120"]
    subprocess.run([*ruff, "check", *options, "--select", "E,F,W,I,UP,B,SIM,C4,RUF", tmp_path], check=True)
    subprocess.run([*ruff, "format", "--check", *options, tmp_path], check=True)
