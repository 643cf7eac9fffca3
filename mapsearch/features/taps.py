"""FeatureTaps: the outputs of chosen layers, captured while the network runs."""

from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Any, Self

import torch
from torch import Tensor, nn

from mapsearch.core.addresses import Address
from mapsearch.core.errors import LayerNotFound
from mapsearch.features.addresses import entries, find_layers
from mapsearch.features.layouts import in_batch_first
from mapsearch.features.modules import watchable


@dataclass
class _Capture:
    """The output of a layer since the last `take`, in the call that counts, and how often its module ran."""

    tensor: Tensor | None = None
    version: int = 0
    calls: int = 0


class FeatureTaps:
    """Hooks on layers of a model; they are gone after `with`.

    Example:
        with FeatureTaps(model, ["layer1", "layer2"]) as taps:
            output = model(x)
            features = taps.take()  # {"layer1": [B, ...], "layer2": [B, ...]}

    A layer is a module's path, `path#k` for its k-th call (from 0), or `path[key]` for one entry of a dict, list or
    tuple that it outputs; `@layout` says how the batch lies in it where that is not the first axis.

    `copied` names layers whose output the network overwrites in place afterwards (a ReLU with `inplace=True`); those
    are captured as copies. `overwritten()` finds them. A path need not name wrappers (`module.`, `_orig_mod.`,
    `base_model.model.`). While a layer inside a compiled graph is watched, everything runs eager. A layer that a
    checkpoint runs again in the backward pass counts once.

    Raises:
        LayerNotFound: the model has no module of that name.
    """

    def __init__(self, model: nn.Module, paths: Collection[str], copied: Collection[str] = ()) -> None:
        self._layers = find_layers(model, paths)
        self._watchable = partial(watchable, model, tuple(paths))
        self._copied = frozenset(copied)
        self._captured: dict[str, _Capture] = {}
        self._open = ExitStack()

    def __enter__(self) -> Self:
        self._open.enter_context(every_module_runs())
        self._open.enter_context(self._watchable())
        for name, (address, module) in self._layers.items():
            self._open.callback(module.register_forward_hook(self._hook(name, address)).remove)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()
        self._captured.clear()

    def _hook(self, name: str, address: Address) -> Any:
        def capture(module: nn.Module, args: Any, output: Any) -> None:
            if torch._C._current_graph_task_id() != -1:  # in a backward pass: a checkpoint runs the layer again
                return
            seen = self._captured.setdefault(name, _Capture())
            seen.calls += 1
            if seen.calls - 1 != (address.call or 0):
                return  # only counted: passes whose features nobody takes must not fill the memory
            tensor = feature_at(output, address)
            if tensor is not None and name in self._copied:
                tensor = tensor.clone()
            seen.tensor, seen.version = tensor, version(tensor)

        return capture

    def calls(self) -> dict[str, int]:
        """How often each layer ran since the last `take`."""
        return {path: seen.calls if (seen := self._captured.get(path)) else 0 for path in self._layers}

    def forget(self) -> None:
        """Begin anew: passes whose features nobody took, such as those that measure a network, do not count."""
        self._captured.clear()

    def overwritten(self) -> tuple[str, ...]:
        """Layers whose captured output was changed in place after it was captured."""
        return tuple(path for path, seen in self._captured.items() if version(seen.tensor) != seen.version)

    def drop(self) -> None:
        """Forget what a forward pass left that did not come to its end."""
        self._captured = {}

    def take(self) -> dict[str, Tensor]:
        """The features of the forward pass just done, by path; nothing is kept here.

        Raises:
            LayerNotFound: a layer did not run exactly once, or did not output a tensor.
        """
        captured, self._captured = self._captured, {}
        features = {}
        for path, (address, _) in self._layers.items():
            seen = captured.get(path, _Capture())
            if address.call is None and seen.calls != 1:
                raise LayerNotFound(_other_than_once(path, seen.calls))
            if address.call is not None and seen.calls <= address.call:
                ran = f"its module ran {seen.calls} times, and calls count from 0"
                raise LayerNotFound(f"layer `{path}` must run in every forward pass, but {ran}")
            if seen.tensor is None:
                raise LayerNotFound(f"layer `{path}` must output a tensor, but did not; choose another layer")
            features[path] = seen.tensor
        return features


def _other_than_once(path: str, n_calls: int) -> str:
    way_out = f"name its calls, `{path}#0` and so on"
    if not n_calls:
        way_out = "switch off what drops layers (`layerdrop=0`), or name layers that always run in `layers`"
    return f"layer `{path}` must run once per forward pass, but ran {n_calls} times; {way_out}"


_settings_before: list[bool] = []
"""The setting before the first of the contexts that now switch the fast path off, once for each of them. They may
end in any order: a generator that holds one may be collected late."""


@contextmanager
def every_module_runs() -> Iterator[None]:
    """Keeps PyTorch from its fused transformer path in eval mode.

    That path runs inner modules without their hooks, and packs padded batches into nested tensors,
    whose features have no `[B, L, D]`.
    """
    _settings_before.append(_settings_before[0] if _settings_before else torch.backends.mha.get_fastpath_enabled())
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        before = _settings_before.pop()
        if not _settings_before:
            torch.backends.mha.set_fastpath_enabled(before)


def feature_of(output: Any) -> Tensor | None:
    """The feature in a module's output: the tensor itself, `last_hidden_state`, or the first item or field."""
    if isinstance(output, Tensor):
        return output
    if hasattr(output, "last_hidden_state"):
        return feature_of(output.last_hidden_state)
    if isinstance(output, Mapping):
        return feature_of(next(iter(output.values()), None))
    if hasattr(output, "__dataclass_fields__"):
        return feature_of([getattr(output, name) for name in output.__dataclass_fields__])
    return feature_of(output[0]) if isinstance(output, (tuple, list)) and output else None


def feature_at(output: Any, address: Address) -> Tensor | None:
    """The feature that an address means in what its module output, with the batch on the first axis."""
    feature = feature_of(output if address.key is None else entries(output).get(address.key))
    return None if feature is None else in_batch_first(feature, address.layout)


def version(tensor: Tensor | None) -> int:
    """How often the tensor was changed in place; of an inference tensor, which cannot be, 0."""
    return tensor._version if tensor is not None and not tensor.is_inference() else 0
