"""Calls of a shared module and entries of an output, the same wherever features are taken."""

import pytest
import torch
from torch import nn

from mapsearch import compare, list_layers
from mapsearch.core.errors import LayerNotFound
from mapsearch.exports.inlined.layer_hooks import LayerHooks
from mapsearch.features.layers import choose_layers, probed_twice
from mapsearch.features.taps import FeatureTaps


class Split(nn.Module):
    """Outputs two features by name."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Linear(6, 6)

    def forward(self, x):
        y = self.weight(x)
        return {"low": y[:, :4], "high": y[:, 4:]}


class Shared(nn.Module):
    """One layer run three times, then a layer of two outputs."""

    def __init__(self):
        super().__init__()
        self.step, self.split, self.head = nn.Linear(6, 6), Split(), nn.Linear(2, 3)

    def forward(self, x):
        for _ in range(3):
            x = torch.tanh(self.step(x))
        return self.head(self.split(x)["high"])


@pytest.fixture
def network():
    torch.manual_seed(0)
    return Shared()


X = torch.randn(16, 6)
NAMES = ["step#0", "step#2", "split[high]", "split.weight"]


def expected(network):
    first = network.step(X)
    third = network.step(network.step(first.tanh()).tanh())
    high = network.split(third.tanh())["high"]
    return {"step#0": first, "step#2": third, "split[high]": high, "split.weight": network.split.weight(third.tanh())}


def listed(network, n=16):
    return list_layers(network, lambda m: m(X[:n]), n)


def test_calls_and_entries_are_listed_in_order_of_the_forward_pass(network):
    layers = listed(network)
    paths = [layer.path for layer in layers]
    assert paths == [
        "step", "step#0", "step#1", "step#2", "split.weight", "split", "split[low]", "split[high]", "head"
    ]  # fmt: skip
    by_path = {layer.path: layer for layer in layers}
    assert by_path["split[high]"].shape == (2,)
    assert "`step#0` ... `step#2`" in by_path["step"].problem


def test_names_and_globs_choose_them(network):
    chosen = choose_layers("teacher", network, listed(network), ["step#*", "split[h*]"])
    assert [layer.path for layer in chosen] == ["step#0", "step#1", "step#2", "split[high]"]
    with pytest.raises(LayerNotFound, match=r"no layer `step#7`; did you mean"):
        choose_layers("teacher", network, listed(network), ["step#7"])


def test_a_shared_module_is_chosen_by_its_later_name_too(network):
    network.again = network.step
    chosen = choose_layers("teacher", network, listed(network), ["again#1"])
    assert [layer.path for layer in chosen] == ["step#1"]


def test_a_call_that_comes_with_some_batches_only_cannot_be_used(network):
    layers = listed(network)
    seen_again = [layer for layer in listed(network, 8) if layer.path != "step#2"]
    by_path = {layer.path: layer for layer in probed_twice(layers, seen_again, 16, 8)}
    assert "with 8 samples" in by_path["step#2"].problem
    assert by_path["step#1"].problem == ""


def test_taps_give_the_call_and_the_entry(network):
    with FeatureTaps(network, NAMES) as taps:
        for _ in range(2):  # calls count from 0 in every pass
            network(X)
            features = taps.take()
    for name, feature in expected(network).items():
        assert torch.equal(features[name], feature), name


def test_a_call_that_never_comes_is_named(network):
    with FeatureTaps(network, ["step#3"]) as taps:
        network(X)
        with pytest.raises(LayerNotFound, match=r"`step#3`.*ran 3 times"):
            taps.take()


def test_hooks_of_exported_files_give_the_same(network):
    hooks = LayerHooks("student", network, NAMES)
    for _ in range(2):
        network(X)
        features = hooks.take()
    hooks.remove()
    for name, feature in expected(network).items():
        assert torch.equal(features[name], feature), name


def test_similarity_tells_calls_apart(network):
    similarity = compare(network, network, [X], teacher_layers=["step#*"], student_layers=["step#*", "split[low]"])
    assert [similarity.values[i][i] for i in range(3)] == pytest.approx([1.0] * 3, abs=1e-5)
    assert similarity.values[0][2] < 0.999


def test_a_module_may_be_called_like_an_address():
    network = nn.ModuleDict({"a#1": nn.Linear(6, 2)})
    network.forward = lambda x: network["a#1"](x)
    with FeatureTaps(network, ["a#1"]) as taps:
        output = network(X)
        assert taps.take()["a#1"] is output
