"""The weights of a network: those that cannot be of a trained one, and a digest of all."""

import hashlib

import torch
from torch import Tensor, nn


def weight_problems(model: nn.Module) -> tuple[str, ...]:
    """One line for each weight that is not finite, or of two and more axes and the same value everywhere.

    A single token, `[1, D]`, may be: models have one for masked inputs, which other tasks than pretraining leave as is.
    """
    problems = []
    for name, weight in model.named_parameters():
        values = weight.detach()
        if not bool(torch.isfinite(values).all()):
            problems.append(f"`{name}` {list(values.shape)} holds values that are not finite")
        elif values.ndim < 2 or values.numel() == 1 or _is_token(name, values):
            continue
        elif bool((values == values.flatten()[0]).all()):
            problems.append(f"`{name}` {list(values.shape)} is {float(values.flatten()[0]):g} everywhere")
    return tuple(problems)


def _is_token(name: str, values: Tensor) -> bool:
    return values.numel() == values.shape[-1] and not name.endswith("weight")


def weights_digest(model: nn.Module) -> str:
    """16 hex digits over names, types and values of all parameters and buffers."""
    digest = hashlib.sha256()
    for name, value in model.state_dict().items():
        if isinstance(value, Tensor):
            digest.update(f"{name} {value.dtype} {list(value.shape)}".encode())
            digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()[:16]
