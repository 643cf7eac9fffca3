"""In which numbers a forward pass computes: float32, or bfloat16 where that is exact enough and faster."""

from typing import Any, Literal, Protocol

import torch
from torch import nn

from mapsearch.tasks.loaded_task import LoadedTask
from mapsearch.tasks.user_code import no_exit

Precision = Literal["auto", "float32", "bfloat16"]


def forward_precision(precision: Precision, device: torch.device) -> torch.autocast:
    """The context of a forward pass; weights, losses and the optimizer stay in float32.

    `auto` is bfloat16 on a GPU that computes in it and float32 elsewhere. A CPU with bfloat16
    instructions may gain as well; ask for it by name.
    """
    return torch.autocast(device.type, torch.bfloat16, enabled=uses_bfloat16(precision, device))


def uses_bfloat16(precision: Precision, device: torch.device) -> bool:
    """Whether forward passes compute in bfloat16 where they may."""
    has_it = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    return precision == "bfloat16" or (precision == "auto" and has_it)


class Forward(Protocol):
    """Runs a network on a batch."""

    def __call__(self, model: nn.Module, batch: Any) -> Any:
        """The network's output."""


def forward_in(precision: Precision, loaded: LoadedTask) -> Forward:
    """The task's `forward(model, batch)` in this precision: what every look at a network goes through."""

    def forward(model: nn.Module, batch: Any) -> Any:
        with no_exit("`forward`"), forward_precision(precision, loaded.device):
            return loaded.task.forward(model, batch)

    return forward
