"""The builder for SilverSpoon-KD, as text; `tests/frameworks` runs it."""

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mapsearch.core.errors import ExportError
from mapsearch.exports.source import multipliers
from mapsearch.exports.targets import write

PAIRS = [("model.layers.1", "model.layers.3", 1.0), ("model.layers.1", "model.layers.4", 3.0)]


def constants(text):
    """The constants of a Python file by name."""
    found = {}
    for node in ast.parse(text).body:
        if isinstance(node, ast.Assign):
            found[node.targets[0].id] = ast.literal_eval(node.value)
        elif isinstance(node, ast.AnnAssign):
            found[node.target.id] = ast.literal_eval(node.value)
    return found


def built(source, path):
    write("silverspoon", source, path)
    return path.read_text()


@pytest.mark.parametrize("fields", [{}, {"task_weight": 9.0}, {"task_weight": 0.0}, {"feature_share": 1.0}])
def test_alpha_and_weights_times_the_scale_are_the_multipliers_of_the_trial(fields, llama, tmp_path):
    source = llama(PAIRS, **fields)
    recipe, made = source.recipe, constants(built(source, tmp_path / "out.py"))
    rest = made["SCALE"] * (1 - made["ALPHA"])
    assert 0 <= made["ALPHA"] < 1
    assert made["SCALE"] == (1.0 if fields != {"task_weight": 9.0} else pytest.approx(4.6))
    assert made["SCALE"] * made["ALPHA"] == pytest.approx((1 - recipe.feature_share) * recipe.task_weight)
    assert [rest * term[2] for term in made["TERMS"]] == pytest.approx(multipliers(recipe, source.scales))
    if recipe.uses_logits:
        assert rest * made["LOGIT_WEIGHT"] == pytest.approx((1 - recipe.feature_share) * recipe.logit_weight)
        assert made["TEMPERATURE"] == 3.0


def test_a_term_has_an_alignment_of_its_own_however_often_its_layer_stands_there(llama, tmp_path):
    terms = constants(built(llama(PAIRS), tmp_path / "out.py"))["TERMS"]
    assert [term[:2] for term in terms] == [
        ("model.layers.1", ["model.layers.3"]),
        ("model.layers.1", ["model.layers.4"]),
    ]
    terms = constants(built(llama(PAIRS, aggregation="fuse"), tmp_path / "fused.py"))["TERMS"]
    assert [term[:2] for term in terms] == [("model.layers.1", ["model.layers.3", "model.layers.4"])]


def test_logits_alone_hook_no_layer(llama, tmp_path):
    text = built(llama([]), tmp_path / "out.py")
    assert not {"TERMS", "ANNEAL"} & set(constants(text))
    assert "Aliases" not in text
    assert "Fading" not in text


def test_a_recipe_that_teaches_nothing_is_refused(llama, tmp_path):
    with pytest.raises(ExportError, match=r"cannot express trial 7: nothing is taught, and the target needs a feature"):
        write("silverspoon", llama([], logit_weight=0.0), tmp_path / "out.py", lossy=True)
    assert not list(tmp_path.iterdir())


def test_the_header_says_where_it_comes_from(llama, tmp_path):
    source = llama(PAIRS)
    docstring = ast.get_docstring(ast.parse(built(source, tmp_path / "out.py")))
    assert all(line in docstring for line in source.provenance)


def test_every_combination_is_clean_python_that_needs_nothing_of_ours(distilled, tmp_path):
    ruff = Path(sys.executable).parent / "ruff"
    if shutil.which(ruff) is None:
        pytest.skip("ruff is not installed")
    recipes = [{"loss": "vid", "projector": "mlp"}, {"loss": "attention", "logit_loss": "dkd"}, {"aggregation": "mix"}]
    recipes += [{"aggregation": "fuse", "logit_weight": 0.0}, {"pairs": False}]
    for number, fields in enumerate(recipes):
        text = built(distilled("tags", **fields).source, tmp_path / f"recipe_{number}.py")
        assert not re.search(r"^\s*(from|import) mapsearch", text, re.MULTILINE)
    options = ["--isolated", "--no-cache", "--line-length", "120"]
    rules = "E,F,W,I,UP,B,SIM,C4,RUF"
    subprocess.run([ruff, "check", *options, "--select", rules, tmp_path], check=True)
    subprocess.run([ruff, "format", "--check", *options, tmp_path], check=True)
