"""How a student's images lie in memory while it is trained."""

import torch
from torch import Tensor, nn

from mapsearch.tasks.batches import collated
from mapsearch.tasks.loading import LoadedTask, seed_everything
from mapsearch.tasks.task import to_device

SAMPLES = 4
TOLERANCE = 1e-3
"""Relative difference of logits that rounding may make, in TF32 as well."""


def choose_memory_format(loaded: LoadedTask) -> torch.memory_format:
    """Channels last where the student convolves images and gives the same logits that way, else contiguous.

    Convolutions and the losses after them are faster with channels last. A network that takes its
    features for contiguous (`x.view(len(x), -1)`) fails, or is wrong, on a few samples here and is left alone.
    """
    try:
        convolutions = [module for module in loaded.new_student(0).modules() if isinstance(module, nn.Conv2d)]
        if not convolutions or (loaded.device.type == "cpu" and any(map(_breaks_on_cpu, convolutions))):
            return torch.contiguous_format
        contiguous, channels_last = (_logits(loaded, kind) for kind in (torch.contiguous_format, torch.channels_last))
        same = bool((channels_last - contiguous).norm() <= TOLERANCE * contiguous.norm())
    except Exception:  # also of the user's code, which every run meets again, where it can be told
        same = False
    return torch.channels_last if same else torch.contiguous_format


def _breaks_on_cpu(convolution: nn.Conv2d) -> bool:
    """Whether its backward pass with channels last writes outside its memory on a CPU (seen in PyTorch 2.13).

    It does where a strided 1 x 1 convolution has fewer than eight input channels.
    """
    is_strided_point = convolution.kernel_size == (1, 1) and convolution.stride != (1, 1)
    return is_strided_point and convolution.in_channels < 8


def _logits(loaded: LoadedTask, kind: torch.memory_format) -> Tensor:
    """Those of the first samples; loss and backward pass must run as well."""
    student = loaded.new_student(0).to(memory_format=kind).eval()  # type: ignore[call-overload]  # no dropout
    seed_everything(0)
    batch = to_device(collated(loaded, loaded.train, range(min(SAMPLES, len(loaded.train)))), loaded.device)
    output = loaded.task.forward(student, batch)
    loaded.task.loss(output, batch).backward()  # type: ignore[no-untyped-call]
    return loaded.task.logits(output).detach().float()
