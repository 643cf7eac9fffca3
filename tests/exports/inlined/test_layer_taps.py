"""Aliases of layers."""

import torch
from torch import nn

from mapsearch.exports.inlined.layer_taps import add_taps


class Twice(nn.Module):
    def forward(self, x):
        return x + 1, "and something else"


def test_taps_put_out_the_first_item_and_change_neither_the_result_nor_the_state():
    model = nn.Sequential(nn.Linear(2, 3), Twice())
    x, state = torch.randn(4, 2), set(model.state_dict())
    before, seen = model(x), {}
    add_taps(model, ["1", "0", "1"])
    for path in ("1.tap0", "0.tap1", "1.tap2"):
        model.get_submodule(path).register_forward_hook(lambda module, args, out, path=path: seen.update({path: out}))
    after = model(x)
    assert after[1] == before[1]
    assert torch.equal(after[0], before[0])
    assert torch.equal(seen["1.tap0"], after[0])
    assert torch.equal(seen["1.tap2"], after[0])
    assert torch.equal(seen["0.tap1"], model[0](x))
    assert set(model.state_dict()) == state
