import pytest
import torch
from small_tasks import WIDTH, Net
from torch import nn
from torch.nn.parallel import DataParallel, DistributedDataParallel

from mapsearch.core.errors import LayerNotFound
from mapsearch.features.layers import choose_layers, list_layers
from mapsearch.features.modules import bare_modules, inside_compiled, is_compiled, other_names, unwrapped
from mapsearch.features.taps import FeatureTaps

X = torch.randn(4, WIDTH)


def network():
    torch.manual_seed(0)
    return Net(4, 3)


def compiled(model):
    return torch.compile(model, backend="eager")


WRAPS = [
    lambda model: model,
    DataParallel,
    DistributedDataParallel,
    compiled,
    lambda model: compiled(DistributedDataParallel(model)),
    lambda model: DistributedDataParallel(compiled(model)),
]
NAMES = ["plain", "DataParallel", "DDP", "compile", "compile-DDP", "DDP-compile"]


@pytest.mark.parametrize("wrap", WRAPS, ids=NAMES)
@pytest.mark.parametrize("ran_before", [False, True])
def test_layers_are_listed_by_their_bare_names_and_watched_as_in_the_bare_network(group, wrap, ran_before):
    bare, model = network(), wrap(network())
    if ran_before:  # a graph made now knows nothing of hooks set later
        model(X)
    listed = [list_layers(net, lambda m: m(X), 4) for net in (bare, model)]
    assert listed[0] == listed[1]
    chosen = choose_layers("student", model, listed[1], "auto")
    assert [layer.path for layer in chosen] == ["blocks.0", "blocks.1", "blocks.2"]
    for _ in range(2):  # taps of their own each time, as a study has
        features = []
        for net in (bare, model):
            with FeatureTaps(net, ["blocks.0", "blocks.1.linear", "head"]) as taps:
                net(X)
                features.append(taps.take())
        assert all(torch.equal(features[0][path], features[1][path]) for path in features[0])


def test_a_path_may_name_the_wrappers_too(group):
    model = DistributedDataParallel(network())
    layers = list_layers(model, lambda m: m(X), 4)
    assert [x.path for x in choose_layers("teacher", model, layers, ["module.blocks.*"])] == [
        "blocks.0", "blocks.1", "blocks.2",
    ]  # fmt: skip
    with FeatureTaps(model, ["module.blocks.1"]) as taps:
        model(X)
        assert list(taps.take()) == ["module.blocks.1"]


def test_a_part_that_is_called_module_keeps_its_name():
    class Holder(nn.Module):
        def __init__(self):
            super().__init__()
            self.module, self.head = nn.Sequential(nn.Linear(3, 3)), nn.Linear(3, 2)

    assert set(bare_modules(Holder())) == {"", "module", "module.0", "head"}


def test_a_shared_module_answers_to_all_of_its_names():
    model = network()
    model.blocks[2] = model.blocks[0]
    assert other_names(model)["blocks.2"] == "blocks.0"
    layers = list_layers(model, lambda m: m(X), 4)
    with pytest.raises(LayerNotFound, match=r"`blocks.0`.* 2 times"):
        choose_layers("student", model, layers, ["blocks.2"])


def test_what_lies_inside_a_compiled_graph():
    whole, in_place, parts = compiled(network()), network(), network()
    in_place.blocks[0].compile(backend="eager")
    parts.blocks[0] = compiled(parts.blocks[0])
    paths = ["blocks.0", "blocks.0.linear", "blocks.1"]
    assert inside_compiled(network(), paths) == ()
    assert inside_compiled(whole, paths) == tuple(paths)
    assert inside_compiled(in_place, paths) == ("blocks.0", "blocks.0.linear")
    assert inside_compiled(parts, paths) == ("blocks.0.linear",)
    assert is_compiled(whole)
    assert not is_compiled(parts)


def test_blocks_compiled_one_by_one_stay_compiled_while_they_are_watched():
    runs = []

    def backend(graph, inputs):
        return lambda *args: (runs.append(1), graph.forward(*args))[1]

    model = network().requires_grad_(False)
    model.blocks[1] = torch.compile(model.blocks[1], backend=backend)
    for path, n_runs in (("blocks.1", 1), ("blocks.1.linear", 0)):
        runs.clear()
        with FeatureTaps(model, [path]) as taps:
            model(X)
            taps.take()
        assert len(runs) == n_runs
    model(X)
    assert len(runs) == 1  # compiled again when nobody looks inside


def test_unwrapping_goes_all_the_way(group):
    net = network()
    assert unwrapped(compiled(DistributedDataParallel(net))) is net
    assert unwrapped(net) is net
