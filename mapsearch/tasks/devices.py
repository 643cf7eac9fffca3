"""The device that a study names, and what else a later reader must know of this machine."""

import platform

import torch

from mapsearch import __version__
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


def environment(device: torch.device) -> dict[str, str]:
    """What a later reader needs to know about this machine."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor()
    versions = {"mapsearch": __version__, "torch": str(torch.__version__)}
    return {"python": platform.python_version(), "system": platform.platform(), "device": name, **versions}
