"""The table of optimizers: every name of the study file has a row, and each row tells the truth."""

from typing import get_args

import pytest
import torch
from torch import nn

from mapsearch.core.mapping import LayerMapping, Pair
from mapsearch.core.recipe import Recipe
from mapsearch.core.train_spec import OptimizerName, TrainSpec
from mapsearch.training.optimizer import OPTIMIZERS, loss_divisor, open_optimizer, rates_to_device, set_learning_rate

HALF = Recipe(LayerMapping((Pair("a", "b", 1.0),)), feature_share=0.5)


def test_every_name_has_a_row():
    assert set(OPTIMIZERS) == set(get_args(OptimizerName))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_what_is_kept_per_weight_is_counted(name):
    model = nn.Linear(30, 20, bias=False)
    optimizer = open_optimizer([*model.parameters()], TrainSpec(optimizer=name))
    model(torch.randn(4, 30)).sum().backward()
    optimizer.step()
    moments = sum(x.numel() for x in optimizer.state[model.weight].values() if x.ndim)
    assert (2 + moments / model.weight.numel()) == OPTIMIZERS[name].numbers_per_weight


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_loss_is_divided_where_steps_follow_its_size(name):
    steps = []
    for factor in (1.0, 0.01):
        weight = nn.Parameter(torch.ones(3))
        optimizer = open_optimizer([weight], TrainSpec(optimizer=name, weight_decay=0.0, lr=0.1))
        (factor * weight.sum()).backward()
        optimizer.step()
        steps.append(float((1 - weight.detach()).norm()))
    follows = steps[1] < 0.1 * steps[0]
    assert OPTIMIZERS[name].follows_gradient_size == follows
    assert loss_divisor(HALF, TrainSpec(optimizer=name)) == (0.5 if follows else 1.0)


def test_rates_on_the_device_follow_the_schedule_in_place():
    optimizer = open_optimizer([nn.Parameter(torch.ones(2))], TrainSpec(lr=0.5))
    rates_to_device(optimizer)
    rate = optimizer.param_groups[0]["lr"]
    set_learning_rate(optimizer, 0.25)
    assert optimizer.param_groups[0]["lr"] is rate
    assert rate == 0.125
