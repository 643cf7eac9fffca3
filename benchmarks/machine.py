"""What a benchmark ran on, in words."""

import platform
from pathlib import Path

import torch


def machine_name(device: str = "cpu") -> str:
    """The GPU, or the number of cores and the processor as Linux calls it, else its architecture."""
    if device.startswith("cuda"):
        return torch.cuda.get_device_name(device)
    path = Path("/proc/cpuinfo")
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{len(names)} cores of a shared {names[0]}" if names else platform.machine()
