"""Seeing the features of a forward pass as they are made, by wrapping `forward`: no hooks, nothing is kept."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mapsearch.core.addresses import Address
from mapsearch.features.addresses import find_layers
from mapsearch.features.taps import feature_at


@contextmanager
def watch(model: nn.Module, layers: Mapping[str, Callable[[Tensor], None]]) -> Iterator[Counter[str]]:
    """While it lasts, each layer's output is shown to its function at once, before the network can overwrite it.

    A forward hook would switch PyTorch off its fused transformer path, a fifth of that network's time;
    a wrapped `forward` leaves it on. Layers inside a fused one then do not run by themselves.
    Gives how often each layer's module ran, to be cleared before a pass in which calls count from 0.

    Raises:
        LayerNotFound: the model has no module of that name.
    """
    calls: Counter[str] = Counter()
    with ExitStack() as stack:
        for name, (address, module) in find_layers(model, layers).items():
            before = module.__dict__.get("forward")
            module.forward = _shown(module.forward, layers[name], name, address, calls)
            stack.callback(_restore, module, before)
        yield calls


def _shown(
    forward: Callable[..., Any], show: Callable[[Tensor], None], name: str, address: Address, calls: Counter[str]
) -> Callable[..., Any]:
    def run(*args: Any, **kwargs: Any) -> Any:
        output = forward(*args, **kwargs)
        calls[name] += 1
        feature = feature_at(output, address) if address.call in (None, calls[name] - 1) else None
        if feature is not None:
            show(feature)
        return output

    return run


def _restore(module: nn.Module, forward: Callable[..., Any] | None) -> None:
    if forward is None:
        del module.forward
    else:
        module.forward = forward


def padded(feature: Tensor, mask: Tensor | None) -> Tensor:
    """A nested feature, as PyTorch's fused path packs padded batches, as `[B, L, D]` with zeros for padding."""
    if not feature.is_nested:
        return feature
    dense = torch.nested.to_padded_tensor(feature, 0.0)
    return dense if mask is None else F.pad(dense, (0, 0, 0, mask.shape[1] - dense.shape[1]))
