"""Several processes that train one student, started by `accelerate launch` or `torchrun`."""

import os
from collections.abc import Sequence
from importlib.util import find_spec

import torch
from torch import Tensor, nn

from mapsearch.core.errors import TrainingFailed
from mapsearch.training.processes import ALONE, Processes


def open_processes(device: str, *, shards: bool = False) -> tuple[Processes, str]:
    """The processes that this one was started with, and its own device; alone where it was started as usual.

    Args:
        device: that of the study; `auto` and `cuda` give every process a GPU of its own.
        shards: whether each holds a part of the weights only.

    Raises:
        TrainingFailed: there are several, and Accelerate is not installed; or one, which is to hold a part.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        if shards:
            raise TrainingFailed(
                "`shard` spreads weights over several processes, but there is one; start several with "
                "`accelerate launch` or `torchrun`"
            )
        return ALONE, device
    if find_spec("accelerate") is None:
        raise TrainingFailed(
            "several processes need `accelerate`, which is not installed; `pip install 'mapsearch[train]'`"
        )
    processes = _kind(shards)(on_cpu=device == "cpu" or not torch.cuda.is_available())
    return processes, str(processes.device)


def _kind(shards: bool) -> "type[Accelerated]":
    if not shards:
        return Accelerated
    from mapsearch.trainer.sharded import Sharded  # FSDP takes its time to import

    return Sharded


class Accelerated(Processes):
    """Processes that exchange tensors through Accelerate: over NCCL on GPUs, over gloo on CPUs.

    Gradients are averaged after the backward pass, all in one tensor. The student is not wrapped: tasks, hooks and
    checkpoints see the bare network.
    """

    def __init__(self, on_cpu: bool) -> None:
        from accelerate import Accelerator

        self._accelerator = Accelerator(cpu=on_cpu)
        self.rank, self.n = int(self._accelerator.process_index), int(self._accelerator.num_processes)
        self.device: torch.device = self._accelerator.device

    def mean(self, values: Tensor) -> Tensor:
        """The mean of the values that the processes have."""
        mean: Tensor = self._accelerator.reduce(values.detach().clone(), "mean")
        return mean

    @torch.no_grad()
    def average_gradients(self, parameters: Sequence[nn.Parameter]) -> None:
        """Give every process the mean gradient of all; one that nobody has stays None."""
        has = torch.tensor([float(p.grad is not None) for p in parameters], device=self.device)
        own = [(torch.zeros_like(p) if p.grad is None else p.grad).flatten().float() for p in parameters]
        mean = self.mean(torch.cat([has, *own]))
        anywhere, *means = torch.split(mean, [len(parameters), *(p.numel() for p in parameters)])
        for parameter, somebody, gradient in zip(parameters, anywhere.tolist(), means, strict=True):
            if somebody:
                parameter.grad = gradient.view(parameter.shape).to(parameter.dtype)

    def is_any(self, here: bool) -> bool:
        """Whether it is so in some process."""
        return bool(self.mean(torch.tensor([float(here)], device=self.device)) > 0)
