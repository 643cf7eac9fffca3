"""The weights of a network that cannot be those of a trained one."""

import torch
from torch import nn


def weight_problems(model: nn.Module) -> tuple[str, ...]:
    """One line for each weight that is not finite, or of two and more axes and the same value everywhere."""
    problems = []
    for name, weight in model.named_parameters():
        values = weight.detach()
        if not bool(torch.isfinite(values).all()):
            problems.append(f"`{name}` {list(values.shape)} holds values that are not finite")
        elif values.ndim >= 2 and values.numel() > 1 and bool((values == values.flatten()[0]).all()):
            problems.append(f"`{name}` {list(values.shape)} is {float(values.flatten()[0]):g} everywhere")
    return tuple(problems)
