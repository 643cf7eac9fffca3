import json

import pytest

from mapsearch.core.layers import Layer


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
