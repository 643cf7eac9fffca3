import pytest
import torch
from torch import nn

from mapsearch.training.memory import kept_for_backward, state_bytes


def test_what_a_forward_pass_keeps_is_counted_once_and_without_weights():
    model, x = nn.Linear(10, 20, bias=False), torch.randn(5, 10)
    with kept_for_backward(model) as kept:
        h = model(x)  # keeps x
        (torch.exp(h) + h.square() + h.square()).sum()  # exp keeps its result, the squares keep h
    assert kept.n_bytes == 4 * (5 * 10 + 5 * 20 + 5 * 20)
    with kept_for_backward(model) as kept, torch.no_grad():
        model(x)
    assert kept.n_bytes == 0


@pytest.mark.parametrize(("optimizer", "copies"), [("adamw", 4), ("sgd", 3)])
def test_the_state_of_training(optimizer, copies):
    model, frozen = nn.BatchNorm1d(8), nn.Linear(2, 2).requires_grad_(False)
    buffers = 4 * 16 + 8
    assert state_bytes((model, frozen), optimizer) == 4 * 16 * copies + buffers + 4 * 6
