"""The device that a study names."""

import torch

from mapsearch.core.errors import TaskError


def choose_device(name: str) -> torch.device:
    """The device of that name; `auto` prefers a GPU.

    Raises:
        TaskError: the name is unknown, or no such device is here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise TaskError(f"`execution.devices`: `{name}` is not a device; use auto, cpu, cuda or cuda:N") from None
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise TaskError(
            f"`execution.devices`: `{name}` is not available: this machine has {torch.cuda.device_count()} GPUs"
        )
    return device
