"""The builder for Neural Compressor, and how little it can express; `tests/frameworks` runs it."""

import ast
from dataclasses import replace

import pytest

from mapsearch.core.errors import ExportError
from mapsearch.core.mapping import LayerMapping, Pair
from mapsearch.exports.source import multipliers
from mapsearch.exports.targets import TARGETS, write

ONE_TO_ONE = LayerMapping((Pair("layers.0", "layers.0", 1.0), Pair("layers.1", "layers.2", 3.0)))
PLAIN = {"mapping": ONE_TO_ONE, "loss": "mse", "logit_weight": 0.0, "anneal": None}


def constants(text):
    assigned = [node for node in ast.parse(text).body if isinstance(node, ast.Assign)]
    return {node.targets[0].id: ast.literal_eval(node.value) for node in assigned}


def test_pairs_and_weights_stand_in_the_file_and_none_exceeds_one(distilled, tmp_path):
    source = replace(distilled("tags", **PLAIN).source, scales=(0.01, 0.2))
    path = tmp_path / "my-run.py"
    _, losses = write("neural-compressor", source, path, lossy=True)
    told = constants(path.read_text())
    factors = multipliers(source.recipe, source.scales)
    assert max(factors) > 1
    assert [pair[:2] for pair in told["PAIRS"]] == [("layers.0", "layers.0"), ("layers.1", "layers.2")]
    assert [told["SCALE"] * pair[2] for pair in told["PAIRS"]] == pytest.approx(list(factors))
    assert max(pair[2] for pair in told["PAIRS"]) == 1.0
    assert told["TASK_MULTIPLIER"] == pytest.approx(0.3)
    assert any("the projectors learn, and in the target they stay as they start" in one for one in losses)
    assert "from my_run import build, total" in path.read_text()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "the feature loss is `nmse`, and the target has mse only"),
        ({"loss": "mse"}, "layer `layers.0` stands in several pairs, and the target takes a layer once"),
        ({**PLAIN, "projector": "mlp"}, "the projector is `mlp`, and the target has linear, none only"),
        ({**PLAIN, "aggregation": "fuse"}, "the aggregation is `fuse`, and the target has sum only"),
    ],
)
def test_what_it_cannot_express_is_refused_with_lossy_as_well(fields, message, distilled, tmp_path):
    with pytest.raises(ExportError, match=f"target `neural-compressor` cannot express trial 0: {message}"):
        write("neural-compressor", distilled("tags", **fields).source, tmp_path / "out.py", lossy=True)
    assert not list(tmp_path.iterdir())


def test_features_of_several_sizes_or_kinds_are_refused(distilled, tmp_path):
    mapping = LayerMapping((Pair("blocks.0", "blocks.0", 1.0), Pair("blocks.1", "blocks.2", 1.0)))
    source = distilled("images", **{**PLAIN, "mapping": mapping}).source
    with pytest.raises(ExportError, match=r"`blocks.0 <- blocks.0` differ in kind or positions") as caught:
        write("neural-compressor", source, tmp_path / "out.py", lossy=True)
    assert len(caught.value.problems) == 2


def test_without_lossy_every_loss_is_said(distilled, tmp_path):
    source = distilled("tags", **{**PLAIN, "logit_weight": 2.0, "anneal": 0.5}).source
    with pytest.raises(ExportError, match="the logits are matched with weight 2") as caught:
        write("neural-compressor", source, tmp_path / "out.py")
    told = "\n".join(caught.value.problems)
    for what in ("fades until 0.5", "padding among tokens", "the projectors learn"):
        assert what in told


def test_the_target_says_up_to_which_version_it_is():
    assert "up to 3.7" in TARGETS["neural-compressor"].about
    assert "neural-compressor==3.7" in TARGETS["neural-compressor"].install
