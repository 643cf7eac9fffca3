"""How a student's images lie in memory while it is trained."""

import torch
from torch import Tensor, nn

from mapsearch.tasks.batches import collated
from mapsearch.tasks.loading import Bench, seed_everything
from mapsearch.tasks.task import to_device

SAMPLES = 4
TOLERANCE = 1e-3
"""Relative difference of a loss that rounding may make, in TF32 as well."""


def choose_memory_format(bench: Bench) -> torch.memory_format:
    """Channels last where the student convolves images and comes to the same loss that way, else contiguous.

    Convolutions and the losses after them are faster with channels last. A network that takes its
    features for contiguous (`x.view(len(x), -1)`) fails, or is wrong, on a few samples here and is left alone.
    """
    if not any(isinstance(module, nn.Conv2d) for module in bench.new_student(0).modules()):
        return torch.contiguous_format
    try:
        contiguous, channels_last = (_loss(bench, kind) for kind in (torch.contiguous_format, torch.channels_last))
        same = bool((channels_last - contiguous).abs() <= TOLERANCE * contiguous.abs())
    except Exception:  # also of the user's code, which every run meets again, where it can be told
        same = False
    return torch.channels_last if same else torch.contiguous_format


def _loss(bench: Bench, kind: torch.memory_format) -> Tensor:
    """The task's loss on the first samples, backward pass included."""
    student = bench.new_student(0).to(memory_format=kind).eval()  # type: ignore[call-overload]  # no dropout
    seed_everything(0)
    batch = to_device(collated(bench, bench.train, range(min(SAMPLES, len(bench.train)))), bench.device)
    loss = bench.task.loss(bench.task.forward(student, batch), batch)
    loss.backward()  # type: ignore[no-untyped-call]
    return loss.detach()
