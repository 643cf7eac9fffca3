"""Aliases that repeat features, in networks of all sorts."""

import pytest
import torch
from torch import nn

from mapsearch.exports.inlined.aliases import Aliases


@pytest.mark.parametrize("chain", [True, False])
def test_aliases_repeat_copies_for_every_pair_and_leave_no_trace(chain):
    layers = [nn.Linear(3, 4), nn.ReLU(inplace=True), nn.Linear(4, 2)]
    model = nn.Sequential(*layers) if chain else nn.Sequential(nn.Sequential(*layers))
    path = "0" if chain else "0.0"
    x, names = torch.randn(5, 3), list(model.state_dict())
    expected, before = model(x), layers[0](x)
    model.aliases = Aliases("student", model, [[path], [path]])
    caught = []
    for alias in model.aliases.aliases:
        alias.register_forward_hook(lambda module, args, output: caught.append(output))
    assert torch.equal(model(x), expected)
    assert [len(output) for output in caught] == [1, 1]
    assert all(torch.equal(output[0], before) for output in caught), "not what the ReLU made of it"
    assert list(model.state_dict()) == names
    model.aliases.remove()
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in layers)
