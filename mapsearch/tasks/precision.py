"""In which numbers a forward pass computes: float32, or bfloat16 where that is exact enough and faster."""

from typing import Literal

import torch

Precision = Literal["auto", "float32", "bfloat16"]


def forward_precision(precision: Precision, device: torch.device) -> torch.autocast:
    """The context of a forward pass; weights, losses and the optimizer stay in float32.

    `auto` is bfloat16 on a GPU that computes in it and float32 elsewhere. A CPU with bfloat16
    instructions may gain as well; ask for it by name.
    """
    has_it = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.autocast(
        device.type, torch.bfloat16, enabled=precision == "bfloat16" or (precision == "auto" and has_it)
    )
