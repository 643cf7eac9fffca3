"""Networks whose layers only put out what was captured before: what runs on them costs no forward pass."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from benchmarks.similarity.workloads import Pair

Features = list[list[Tensor]]
"""`[batch][layer]`: what each layer puts out for each batch."""


class _Layer(nn.Module):
    def __init__(self, outputs: list[Tensor]) -> None:
        super().__init__()
        self._outputs = outputs
        # tokens and maps are told apart by the layers that made them: a map's were convolutions
        self.like = nn.Conv2d(1, 1, 1) if outputs[0].ndim == 4 else nn.Linear(1, 1)

    def forward(self, index: int, n: int | None = None) -> Tensor:
        return self._outputs[index][:n]


class Replay(nn.Module):
    """Layers `block0`, `block1` ... that put out prepared features; a batch is its number, `[n, 1]`."""

    def __init__(self, features: Features) -> None:
        super().__init__()
        self.names = [f"block{i}" for i in range(len(features[0]))]
        for i, name in enumerate(self.names):
            self.add_module(name, _Layer([batch[i] for batch in features]))

    def forward(self, x: Tensor) -> Tensor:
        """`[n, 1]` -> the last layer's feature of the first `n` samples of the batch with that number."""
        index, n = int(x[0, 0]), len(x)
        for name in self.names:
            output: Tensor = getattr(self, name)(index, n)
        return output


def replay(student: Features, teacher: Features) -> Pair:
    """A pair that replays these features."""
    batches = [torch.full((len(layers[0]), 1), float(i)) for i, layers in enumerate(student)]
    return Pair(Replay(student), Replay(teacher), batches)


@torch.no_grad()
def recorded(pair: Pair) -> Pair:
    """The pair with all its layers' outputs captured, ready to be replayed."""
    return replay(*(_features(network, pair.batches) for network in pair.networks))


def _features(network: nn.Module, batches: Sequence[Tensor]) -> Features:
    found: Features = []
    hooks = [
        getattr(network, name).register_forward_hook(lambda module, args, output: found[-1].append(output))
        for name in network.names
    ]
    for batch in batches:
        found.append([])
        network(batch)
    for hook in hooks:
        hook.remove()
    return found
