"""The optimizers of a study: how each is made, what it keeps per weight, how it takes a smaller loss."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import SGD, AdamW, Optimizer

from mapsearch.core.recipe import Recipe
from mapsearch.core.train_spec import OptimizerName, TrainSpec

MOMENTUM = 0.9


@dataclass(frozen=True)
class OptimizerTraits:
    """How an optimizer is made, and what must be known of it.

    `numbers_per_weight` counts the weight, its gradient and what the optimizer keeps of it. A step that
    `follows_gradient_size` is larger where the loss is.
    """

    make: Callable[[Sequence[Any], TrainSpec], Optimizer]
    numbers_per_weight: int
    follows_gradient_size: bool


def _adamw(parameters: Sequence[Any], train: TrainSpec) -> Optimizer:
    return AdamW(parameters, train.lr, weight_decay=train.weight_decay, fused=True)


def _sgd(parameters: Sequence[Any], train: TrainSpec) -> Optimizer:
    return SGD(parameters, train.lr, momentum=MOMENTUM, nesterov=True, weight_decay=train.weight_decay, fused=True)


OPTIMIZERS: dict[OptimizerName, OptimizerTraits] = {
    "adamw": OptimizerTraits(_adamw, numbers_per_weight=4, follows_gradient_size=False),
    "sgd": OptimizerTraits(_sgd, numbers_per_weight=3, follows_gradient_size=True),
}


def open_optimizer(parameters: Sequence[nn.Parameter] | Sequence[dict[str, Any]], train: TrainSpec) -> Optimizer:
    """The study's optimizer of these weights, or groups of weights; `initial_lr` of a group is its peak rate."""
    optimizer = OPTIMIZERS[train.optimizer].make(parameters, train)
    for group in optimizer.param_groups:
        group["initial_lr"] = group["lr"]
    return optimizer


def set_learning_rate(optimizer: Optimizer, factor: float) -> None:
    """Set every group to this part of its peak rate."""
    for group in optimizer.param_groups:
        rate = group["initial_lr"] * factor
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(rate)
        else:
            group["lr"] = rate


def rates_to_device(optimizer: Optimizer) -> None:
    """Keep the learning rates on the device, so that a recorded step reads them anew whenever it is replayed."""
    for group in optimizer.param_groups:
        device = group["params"][0].device
        group["lr"] = torch.as_tensor(group["lr"], dtype=torch.float32, device=device)
        group["capturable"] = device.type == "cuda"  # torch refuses to record an optimizer that does not say so


def loss_divisor(recipe: Recipe, train: TrainSpec) -> float:
    """What the total loss is divided by before its gradient is taken.

    Where steps follow the gradient's size it is the task's part of the loss, or a feature share would act
    as a learning rate.
    """
    if OPTIMIZERS[train.optimizer].follows_gradient_size and recipe.feature_share < 1:
        return 1 - recipe.feature_share
    return 1.0
