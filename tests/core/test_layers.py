import json

import pytest

from mapsearch.core.layers import Layer, fused_layer


@pytest.mark.parametrize(
    ("kind", "shape", "width", "positions"),
    [
        ("vector", (32,), 32, ()),
        ("tokens", (17, 32), 32, (17,)),
        ("map", (32, 8, 4), 32, (8, 4)),
        ("map", (32, 100), 32, (100,)),
    ],
)
def test_width_is_the_channel_axis_and_positions_are_the_others(kind, shape, width, positions):
    layer = Layer("blocks.0", "Block", kind, shape, calls=1)
    assert (layer.width, layer.positions) == (width, positions)


@pytest.mark.parametrize(
    "layer",
    [
        Layer("blocks.0", "Block", "map", (8, 4, 4), calls=1),
        Layer("aux", "Linear", None, (), calls=0, problem="layer `aux` is never called"),
    ],
)
def test_json_gives_the_same_layer_back(layer):
    assert Layer.from_json(json.loads(json.dumps(layer.to_json()))) == layer


def test_the_layer_of_a_mixture_has_the_smallest_grid():
    maps = [Layer(f"t{i}", "Block", "map", (5, size, size), calls=1) for i, size in enumerate((4, 8))]
    assert fused_layer(maps).shape == (5, 4, 4)
    assert fused_layer(maps[:1]) == maps[0]
    tokens = Layer("t", "Block", "tokens", (7, 5), calls=1)
    assert (fused_layer((tokens, tokens)).shape, fused_layer((tokens, tokens)).path) == ((7, 5), "t + t")
