"""Names that users give to layers, studies and metrics cannot break, or get code into, any written file."""

import ast

import pytest
import yaml

from mapsearch.core.layers import Layer
from mapsearch.core.mapping import LayerMapping, Pair
from mapsearch.core.recipe import Recipe
from mapsearch.core.training_settings import TrainingSettings
from mapsearch.exports.source import ExportSource
from mapsearch.exports.targets import TARGETS
from mapsearch.exports.write import write

NAMES = {
    "quotes": 'it\'s "5" \'\'\'and\'\'\' """more"""',
    "ends a docstring": '"""\nimport os; os.abort()\n"""',
    "ends a comment": "x\nimport os\n- y: !!python/object:os.abort {}",
    "backslashes": "a\\b\\",
    "controls": "\x1b[31mred\x07\x00\x85\u2028",
    "reordered": "user\u202e\u2066level\u2069",
    "template": "$loss ${term} $$ # <features>\n# </features>",
    "yaml word": "null",
    "yaml number": "1e3",
    "yaml mark": "*a: &b [!x, {y}] # z",
    "braces": "bl{o}ck {{ fileDirname }}",
    "keyword": "lambda",
    "accents": "étage_2",
    "spaces": "  res-block 0  ",
    "ours": "mask",
    "surrogate": "\ud800",
}
PAIRS = [("model.layers.1", "model.layers.3"), ("model.layers.1", "model.layers.4")]


def source(name, pairs, kind, **fields):
    """A trial whose study, layers, metric, verdict and versions all bear the name."""
    mapping = LayerMapping(tuple(Pair(*pair, 1.0) for pair in pairs))
    paths = [dict.fromkeys(side) for side in zip(*pairs, strict=True)]
    student, teacher = (tuple(Layer(x, name, kind, (6, 6), 1) for x in side) for side in paths)
    recipe = Recipe(mapping, feature_share=0.5, output_weight=1.0, **{"anneal": None, **fields})
    n_terms = len(recipe.feature_terms)
    norms = () if recipe.aggregation == "sum" else (1.0,) * len(pairs)
    weights = (0.5,) * len(pairs) if recipe.aggregation == "mix" else ()
    return ExportSource(
        name, 3, recipe, student, teacher, (1.0,) * n_terms, norms, weights, 0, 9, 1.0, name, (0.5,), name, name,
        settings=TrainingSettings(task=f"{name}:Net", metric=name, direction="maximize"),
    )  # fmt: skip


def check(files):
    """All files are what their kind says, hold no code but ours, and show all that they hold."""
    for path in files:
        text = path.read_text(encoding="utf-8")
        assert text.replace("\n", "").isprintable(), "a reader sees what is there"
        if path.suffix == ".py":
            tree = ast.parse(text)
            modules = [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
            assert not {"os"} & set(modules)
        else:
            assert isinstance(yaml.safe_load(text.replace("!import_get", "")), dict)


def values(path):
    """All strings that a written file holds as data."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        return {node.value for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Constant)}
    waiting, found = [yaml.safe_load(text.replace("!import_get", ""))], set()
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            waiting += [*value, *value.values()]
        elif isinstance(value, list):
            waiting += value
        else:
            found.add(value)
    return found


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
@pytest.mark.parametrize("aggregation", ["sum", "mix"])
@pytest.mark.parametrize("target", TARGETS)
def test_any_layer_can_be_named(target, aggregation, name, tmp_path):
    pairs = [(f"{name}.s", f"{name}.t"), (f"{name}.s", name)]
    path = tmp_path / ("x.yaml" if target in ("mapsearch", "torchdistill") else "x.py")
    files, _ = write(target, source(name, pairs, "tokens", aggregation=aggregation), path)
    check(files)
    assert {f"{name}.s", f"{name}.t", name} <= set().union(*map(values, files)), "to the letter"


@pytest.mark.parametrize("name", ['a"""b', "a\\b", "no", "$loss", "étage 1", "lambda", "7"])
@pytest.mark.parametrize("target", TARGETS)
def test_any_file_name_will_do(target, name, tmp_path):
    told = source("study", PAIRS, "tokens")
    suffix = ".py" if target in ("torch", "transformers", "lightning", "modelopt") else ".yaml"
    files, _ = write(target, told, tmp_path / f"{name}{suffix}", lossy=True)
    check(files)
    assert all(file.stem.isidentifier() for file in files[1:]), "modules beside the file can be imported"
