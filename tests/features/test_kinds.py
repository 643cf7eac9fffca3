import pytest
import torch
from torch import nn

from mapsearch.core.errors import LayerNotFound
from mapsearch.features.kinds import kind_of, require_known_layers
from mapsearch.features.layers import choose_layers, list_layers


class Patches(nn.Module):
    """Images to tokens, as a vision transformer begins: a convolution whose grid becomes the positions."""

    def __init__(self):
        super().__init__()
        self.projection = nn.Conv2d(3, 8, 4, 4)

    def forward(self, x):
        return self.projection(x).flatten(2).transpose(1, 2)


class Signal(nn.Module):
    """A 1-D network whose feature has as many positions as a linear layer inside has outputs."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Sequential(nn.Conv1d(2, 4, 3, padding=1), nn.Linear(6, 6))
        self.head = nn.Linear(24, 2)

    def forward(self, x):
        return self.head(self.conv1(x).flatten(1))


@pytest.mark.parametrize(
    ("module", "shape", "kind"),
    [
        (nn.Linear(3, 8), (4, 8), "vector"),
        (nn.Conv2d(3, 8, 3), (4, 8, 6, 6), "map"),
        (nn.Conv1d(3, 8, 3), (4, 8, 6), "map"),
        (nn.Conv1d(3, 8, 3), (4, 8, 8), "map"),
        (nn.Sequential(nn.Conv1d(3, 8, 3), nn.BatchNorm1d(8)), (4, 8, 6), "map"),
        (Patches(), (4, 9, 8), "tokens"),
        (nn.Embedding(10, 8), (4, 9, 8), "tokens"),
        (nn.LayerNorm(8), (4, 9, 8), "tokens"),
        (
            nn.Sequential(nn.Conv1d(8, 8, 3), nn.Linear(8, 8)),
            (4, 8, 8),
            "tokens",
        ),  # a convolution module of a Conformer
    ],
)
def test_the_kind_follows_the_axis_on_which_the_channels_lie(module, shape, kind):
    assert kind_of(module, torch.empty(shape), None) == kind


@pytest.mark.parametrize(("before", "kind"), [("map", "map"), ("tokens", "tokens"), (None, "tokens")])
def test_without_weights_the_kind_is_that_of_the_layer_before(before, kind):
    assert kind_of(nn.ReLU(), torch.empty(4, 9, 8), before) == kind


def listed(kinds=None):
    return {layer.path: layer for layer in list_layers(Signal(), lambda m: m(torch.randn(4, 2, 6)), 4, kinds)}


def test_the_study_file_knows_better():
    assert listed()["conv1"].kind == "tokens"  # a guess that is wrong
    layers = listed({"conv*": "map", "conv1.1": "map"})
    assert [layers[path].kind for path in ("conv1", "conv1.1", "head")] == ["map", "map", "vector"]
    assert (layers["conv1"].width, layers["conv1"].positions) == (4, (6,))


def test_a_kind_that_the_shape_does_not_allow_is_refused():
    model = Signal()
    layers = list_layers(model, lambda m: m(torch.randn(4, 2, 6)), 4, {"conv1": "vector"})
    with pytest.raises(LayerNotFound, match=r"`conv1`.*vector.*`layers.kinds`"):
        choose_layers("student", model, layers, ["conv1"])


def test_a_kind_said_of_a_map_of_linear_layers_lets_it_take_part():
    model = nn.Sequential(nn.Linear(6, 6), nn.Flatten(), nn.Linear(72, 2))
    for kinds, problem in (({}, True), ({"0": "map"}, False)):
        layer = list_layers(model, lambda m: m(torch.randn(4, 3, 4, 6)), 4, kinds)[0]
        assert bool(layer.problem) == problem


def test_names_that_mean_no_layer_come_all_at_once():
    with pytest.raises(LayerNotFound) as caught:
        require_known_layers({"conv1": "map", "conv2": "map", "x.*": "tokens"}, list(listed().values()))
    assert len(caught.value.problems) == 2
    assert "`conv2`; did you mean `conv1`" in caught.value.problems[0]
