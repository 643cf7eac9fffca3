"""Source read from files: the same as that of the live objects, with all that it uses, and nothing of ours."""

import ast
import importlib
import inspect
from typing import get_args

import pytest

from mapsearch.core.losses import OUTPUT_LOSS_FUNCTIONS
from mapsearch.core.recipe import FeatureLossName
from mapsearch.exports.inlined.feature_terms import FeatureTerm, MixedTerm
from mapsearch.exports.inlined.layer_hooks import LayerHooks
from mapsearch.exports.render.source_inlining import definition, inlined
from mapsearch.losses.recipe_loss import FEATURE_LOSSES, OUTPUT_LOSSES

TABLE = "mapsearch.losses.recipe_loss"
TERMS = "mapsearch.exports.inlined.feature_terms"


def defined(text):
    """The names of the classes and functions of a text."""
    return [node.name for node in ast.parse(text).body if isinstance(node, (ast.ClassDef, ast.FunctionDef))]


@pytest.mark.parametrize(
    "live",
    [*FEATURE_LOSSES.values(), *OUTPUT_LOSSES.values(), FeatureTerm, MixedTerm, LayerHooks],
    ids=lambda x: x.__name__,
)
def test_the_source_and_that_of_all_it_uses_are_those_of_the_live_objects(live):
    module = TABLE if inspect.isfunction(live) else live.__module__
    text = inlined(f"from {module} import {live.__name__}\n\nprint({live.__name__})\n")
    found = defined(text)
    assert live.__name__ in found
    for name in found:
        home = importlib.import_module(home_of(live, name))
        assert inspect.getsource(getattr(home, name)) in text


def home_of(live, name):
    """The module that defines what the source of `live` calls by that name."""
    homes = ["losses.recipe_loss", "losses.feature_rows", "losses.outputs", "losses.relations", "losses.distributions"]
    homes += [
        "losses.aggregation",
        "losses.projectors",
        "features.taps",
        "features.layouts",
        "features.modules",
        "exports.inlined.layer_hooks",
    ]
    for home in [live.__module__, *(f"mapsearch.{home}" for home in homes)]:
        try:
            return definition(home, name).module
        except LookupError:
            continue
    raise AssertionError(f"{name} is defined nowhere")


def test_the_functions_of_the_losses_are_known_without_torch():
    assert {name: loss.__name__ for name, loss in OUTPUT_LOSSES.items()} == OUTPUT_LOSS_FUNCTIONS
    assert [loss.__name__ for loss in FEATURE_LOSSES.values()] == list(get_args(FeatureLossName))


def test_helpers_are_followed_through_modules_once_and_named_imports_kept():
    text = inlined(
        '"""Docstring."""\n\nimport json\n\nfrom mapsearch.losses.recipe_loss import gram, pkt\n\nX = 1\n\n\n'
        "def loss(s, t):\n    return gram(s, t) + pkt(s, t)\n"
    )
    assert defined(text) == [
        "loss", "squared_distance", "covering", "unpadded", "samples", "products", "unit_gram", "gram",
        "picks_apart", "pick_probabilities", "pkt",
    ]  # fmt: skip
    head = text.partition("X = 1")[0]
    assert head == '"""Docstring."""\n\nimport torch\nimport torch.nn.functional as F\nfrom torch import Tensor\n\n'


def test_constants_come_before_what_uses_them():
    text = inlined("from mapsearch.core.space import patch_grid\n\nprint(patch_grid)\n")
    assert text.index("MOST_LEADING = 8") < text.index("def patch_grid")
    assert "import math" in text


def test_the_source_is_put_where_the_text_says():
    text = inlined("from mapsearch.losses.feature_rows import covering\n\n# <inlined>\nlast = covering\n")
    assert text.index("def covering") < text.index("last = covering")
    assert "<inlined>" not in text


def test_an_unknown_name_is_an_error():
    with pytest.raises(LookupError, match="has no `nsme`"):
        inlined(f"from {TABLE} import nsme\n\nprint(nsme)\n")
