"""Several processes, each with a part of the weights, of their gradients and of what the optimizer keeps of them."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.nn.utils import clip_grads_with_norm_, get_total_norm
from torch.optim import Optimizer

from mapsearch.trainer.accelerated import Accelerated


class Sharded(Accelerated):
    """Networks in parts by torch's FSDP2, which puts their blocks together when they are called.

    It averages the gradients of what is in parts; projectors stay whole.
    """

    shards = True

    def average_gradients(self, parameters: Sequence[nn.Parameter]) -> None:
        """Those of whole parameters; the others were averaged in the backward pass."""
        super().average_gradients([p for p in parameters if not isinstance(p, DTensor)])

    def clip_gradients(self, parameters: Sequence[nn.Parameter], max_norm: float) -> Tensor:
        """Clip the gradients to a norm; the norm that all of them had."""
        groups = [[p for p in parameters if isinstance(p, DTensor) is in_parts] for in_parts in (True, False)]
        norms = [get_total_norm([p.grad for p in group if p.grad is not None]) for group in groups]
        norm: Tensor = torch.linalg.vector_norm(torch.stack([self.whole(norm).to(self.device) for norm in norms]))
        for group in groups:
            clip_grads_with_norm_(group, max_norm, norm)
        return norm

    def shard(self, network: nn.Module) -> None:
        """Leave this process its part of the weights."""
        mesh = init_device_mesh(self.device.type, (self.n,))
        for module in (*reversed([*blocks(network)]), network):  # FSDP wants the innermost first
            fully_shard(module, mesh=mesh)

    def whole(self, state: Any) -> Any:
        """The state with whole tensors on the CPU for those in parts."""
        if isinstance(state, DTensor):
            return state.full_tensor().cpu()
        if isinstance(state, Mapping):
            return {key: self.whole(value) for key, value in state.items()}
        return [self.whole(value) for value in state] if isinstance(state, list) else state

    def load(self, target: nn.Module | Optimizer, state: dict[str, Any]) -> None:
        """Each process takes its part of the tensors."""
        if isinstance(target, Optimizer):
            parameters = [p for group in target.param_groups for p in group["params"]]
            states = {i: _parts(held, dict.fromkeys(held, parameters[i])) for i, held in state["state"].items()}
            groups = [
                {**group, "fused": own["fused"]}
                for group, own in zip(state["param_groups"], target.param_groups, strict=True)
            ]
            target.load_state_dict({"state": states, "param_groups": groups})
        else:
            target.load_state_dict(_parts(state, target.state_dict()))


def blocks(network: nn.Module) -> Iterator[nn.Module]:
    """The members of its lists and sequences that are networks themselves and share no weight with others."""
    used = Counter(id(p) for module in network.modules() for p in module.parameters(recurse=False))
    for parent in network.modules():
        for child in parent.children() if isinstance(parent, (nn.ModuleList, nn.Sequential)) else ():
            is_called = not isinstance(child, (nn.ModuleList, nn.ModuleDict))
            weights = [*child.parameters()]
            if is_called and len([*child.modules()]) > 1 and weights and all(used[id(p)] == 1 for p in weights):
                yield child


def _parts(state: Mapping[str, Any], like: Mapping[str, Any]) -> dict[str, Any]:
    """Of each whole tensor what this process holds of the one of that name."""
    return {name: _part(value, like.get(name)) for name, value in state.items()}


def _part(value: Any, like: Any) -> Any:
    if isinstance(like, DTensor) and isinstance(value, Tensor) and value.shape == like.shape:
        return distribute_tensor(value.to(like.device), like.device_mesh, like.placements, src_data_rank=None)
    return value
