"""What training takes: from step to step, and during a step."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mapsearch.core.train_spec import OptimizerName
from mapsearch.training.optimizer import OPTIMIZERS

PEAK_OVER_KEPT = 1.5
"""The peak of a step over what its forward pass keeps for the backward pass: gradients on their way come on top."""


def state_bytes(networks: tuple[nn.Module, ...], optimizer: OptimizerName) -> int:
    """What training keeps from step to step: weights, gradients, the optimizer's moments, buffers."""
    per_weight = OPTIMIZERS[optimizer].numbers_per_weight
    weights = sum(p.nbytes * (per_weight if p.requires_grad else 1) for n in networks for p in n.parameters())
    return weights + sum(buffer.nbytes for network in networks for buffer in network.buffers())


@dataclass
class MeasuredBytes:
    """How many bytes were taken."""

    n_bytes: int = 0


@contextmanager
def step_memory(device: torch.device, *networks: nn.Module) -> Iterator[MeasuredBytes]:
    """Measure what a training step within takes beside the state of training.

    On a GPU that is the allocator's peak, work space of convolutions included. Elsewhere it is estimated from what
    the forward pass keeps, with something for the gradients on their way.
    """
    measured = MeasuredBytes()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        yield measured
        measured.n_bytes = torch.cuda.max_memory_allocated(device) - before
    else:
        with kept_for_backward(*networks) as kept:
            yield measured
        measured.n_bytes = round(PEAK_OVER_KEPT * kept.n_bytes)


@contextmanager
def kept_for_backward(*networks: nn.Module) -> Iterator[MeasuredBytes]:
    """Count distinct memory that forward passes within keep for their backward pass, weights left out."""
    kept = MeasuredBytes()
    seen = {p.untyped_storage().data_ptr() for network in networks for p in network.parameters()}

    def count(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in seen:
            seen.add(storage.data_ptr())
            kept.n_bytes += storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
        yield kept
