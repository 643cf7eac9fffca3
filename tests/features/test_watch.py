import pytest
import torch
from torch import nn

from mapsearch.core.errors import LayerNotFound
from mapsearch.features.watch import padded, watch


def encoder(depth=3):
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
    return nn.TransformerEncoder(layer, depth, enable_nested_tensor=True).eval()


def test_outputs_are_shown_as_they_are_made():
    net = nn.Sequential(nn.Linear(4, 5), nn.ReLU(inplace=True), nn.Linear(5, 2))
    x, seen = torch.randn(3, 4), {}
    with watch(net, {"0": lambda f: seen.setdefault("0", f.clone()), "2": lambda f: seen.setdefault("2", f.clone())}):
        output = net(x)
    assert torch.equal(seen["0"], net[0](x))  # before the ReLU overwrote it
    assert torch.equal(seen["2"], output)


def test_forward_is_as_before_afterwards_also_after_an_error():
    net, own = nn.Sequential(nn.Linear(4, 5), nn.Linear(5, 2)), lambda x: x * 2
    net[1].forward = own
    with pytest.raises(ZeroDivisionError, match="zero"), watch(net, {"0": lambda f: 1 / 0, "1": lambda f: None}):
        net(torch.randn(3, 4))
    assert "forward" not in net[0].__dict__
    assert net[1].forward is own


def test_two_watchers_may_look_at_one_network():
    net, seen = nn.Sequential(nn.Linear(2, 2)), []
    with watch(net, {"0": lambda f: seen.append("outer")}), watch(net, {"0": lambda f: seen.append("inner")}):
        net(torch.ones(1, 2))
    assert seen == ["outer", "inner"] or seen == ["inner", "outer"]


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
@torch.no_grad()
def test_the_fused_path_stays_on_and_packs_padding():
    net, seen = encoder(), []
    x, real = torch.randn(4, 6, 16), torch.arange(6) < torch.tensor([[6], [3], [5], [2]])
    with watch(net, {"layers.1": seen.append}):
        net(x, src_key_padding_mask=~real)
    assert seen[0].is_nested  # only the fused path makes nested tensors
    dense = padded(seen[0], real)
    assert dense.shape == (4, 6, 16)
    assert dense[~real].abs().max() == 0
    with watch(net, {"layers.1": seen.append}):
        alone = net(x[1:2, :3])
    assert alone.shape == (1, 3, 16)
    assert torch.allclose(dense[1, :3], seen[1][0], atol=1e-5)


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
def test_padding_is_filled_up_to_the_mask():
    nested = torch.nested.nested_tensor([torch.ones(2, 3), torch.ones(1, 3)])
    assert padded(nested, torch.zeros(2, 5, dtype=torch.bool)).shape == (2, 5, 3)
    assert padded(nested, None).shape == (2, 2, 3)


def test_a_misspelt_layer_is_named():
    with (
        pytest.raises(LayerNotFound, match=r"`layer\.1`; did you mean `layers\.1`"),
        watch(encoder(), {"layer.1": print}),
    ):
        pass
