"""Features of a student and a teacher in exported files: hooks, and a guard against frozen layers."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from mapsearch.features.addresses import address_in
from mapsearch.features.modules import bare_modules
from mapsearch.features.taps import feature_at


class LayerHooks:
    """The outputs of some layers in the latest forward pass of a network.

    `path#k` is the k-th call of a module in a pass, from 0, `path[key]` an entry of what it outputs;
    `@layout` says how the batch lies in it where that is not the first axis.
    Layers are found in wrapped networks as well (DistributedDataParallel, torch.compile, PEFT).
    """

    def __init__(self, network: str, model: nn.Module, paths: Sequence[str]) -> None:
        modules = bare_modules(model)
        self.addresses = {path: address_in(modules, path) for path in paths}
        missing = [path for path, address in self.addresses.items() if address.path not in modules]
        if missing:
            raise ValueError(f"the {network} has no layer `{missing[0]}`; see `named_modules()` for its layers")
        self.network = network
        self.features: dict[str, list[Tensor]] = {path: [] for path in paths}
        self.calls = dict.fromkeys(paths, 0)
        self.handles: list[RemovableHandle] = [model.register_forward_pre_hook(self._start)]
        for path, address in self.addresses.items():
            self.handles.append(modules[address.path].register_forward_hook(partial(self._capture, path)))

    def remove(self) -> None:
        """Remove the hooks."""
        for handle in self.handles:
            handle.remove()

    def _start(self, model: nn.Module, args: Any) -> None:
        self.features = {path: [] for path in self.features}  # an evaluation in between leaves nothing behind
        self.calls = dict.fromkeys(self.calls, 0)

    def _capture(self, path: str, module: nn.Module, args: Any, output: Any) -> None:
        address = self.addresses[path]
        self.calls[path] += 1
        feature = feature_at(output, address) if address.call in (None, self.calls[path] - 1) else None
        if feature is not None:
            self.features[path].append(feature.clone())  # layers further on may overwrite it in place

    def take(self) -> dict[str, Tensor]:
        """The features by layer; every layer must have run once."""
        taken = self.features
        self.features = {path: [] for path in taken}
        for path, outputs in taken.items():
            if len(outputs) != 1:
                raise RuntimeError(
                    f"{self.network} layer `{path}` must output one tensor per forward pass, but gave {len(outputs)}; "
                    "run both networks once before each call of the loss"
                )
        return {path: outputs[0] for path, outputs in taken.items()}


def require_gradient(features: dict[str, Tensor]) -> None:
    """Raise where a student feature cannot learn."""
    for path, feature in features.items():
        if torch.is_grad_enabled() and not feature.requires_grad:
            raise RuntimeError(f"student layer `{path}` has no gradient: frozen, no_grad or reentrant checkpointing")
