"""The layers of a network as seen on one real batch, and the choice of those that take part."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from mapsearch.core.addresses import Address, is_part, matches, matches_address, parse_address
from mapsearch.core.errors import LayerNotFound, did_you_mean
from mapsearch.core.layers import Kind, Layer
from mapsearch.features.addresses import entries
from mapsearch.features.kinds import kind_of, tensor_problem
from mapsearch.features.layouts import in_batch_first
from mapsearch.features.modules import bare_modules, other_names, unwrapped, watchable
from mapsearch.features.taps import every_module_runs, feature_of
from mapsearch.features.trunk import CONTAINERS, find_trunk

MAX_CALLS_LISTED = 64
"""Calls of one module that are layers of their own: a loop over a long sequence has thousands."""


@dataclass(frozen=True)
class _Call:
    """One call of a module: what it output under each key, whole under None; shape and type only."""

    path: str
    number: int
    outputs: dict[str | None, Tensor | None]


def list_layers(
    model: nn.Module,
    forward: Callable[[nn.Module], Any],
    n_samples: int,
    kinds: Mapping[str, Kind] | None = None,
    layouts: Mapping[str, str] | None = None,
) -> tuple[Layer, ...]:
    """All modules below the model: first those that ran, in order of their first output, then the others.

    The calls of a module that runs several times (`path#0`, `path#1`, at most 64) are layers too, each in its place,
    and so are the tensors of an output that has several entries (`path[key]`).

    Args:
        forward: runs the model on one batch of `n_samples` samples.
        kinds: names and globs of layers whose kind cannot be inferred from their shape.
        layouts: by name, of layers whose batch is not on the first axis (`features/layouts.py`).
    """
    modules = {path: module for path, module in bare_modules(model).items() if path}
    calls = _calls(model, modules, forward)
    n_calls = Counter(call.path for call in calls)
    layers: list[Layer] = []
    before: Kind | None = None
    for plain, outputs in _addressed(calls, n_calls):
        address = plain._replace(layout=(layouts or {}).get(str(plain)))
        tensor = None if outputs is None else in_batch_first(outputs, address.layout)
        stated = next((kind for pattern, kind in (kinds or {}).items() if _means(address, pattern)), None)
        module, n = unwrapped(modules[address.path]), n_calls[address.path] if address.call is None else 1
        layers.append(_layer(address, module, tensor, n, n_samples, before, stated))
        before = (layers[-1].kind if address.key is None else None) or before
    idle = [path for path in modules if path not in n_calls]
    return (*layers, *(_idle_layer(path, unwrapped(modules[path])) for path in idle))


def layer_shapes(model: nn.Module, forward: Callable[[nn.Module], Any]) -> dict[str, tuple[int, ...]]:
    """The shape of what each layer outputs on one batch, the batch axis included, by name."""
    calls = _calls(model, {path: module for path, module in bare_modules(model).items() if path}, forward)
    n_calls = Counter(call.path for call in calls)
    return {
        str(address): tuple(tensor.shape)
        for address, tensor in _addressed(calls, n_calls)
        if tensor is not None and (address.call is not None or n_calls[address.path] == 1)
    }


def _addressed(calls: Sequence[_Call], n_calls: Mapping[str, int]) -> Iterator[tuple[Address, Tensor | None]]:
    """Each layer that these calls show, and what it output."""
    for call in calls:
        if call.number == 0 and n_calls[call.path] > 1:
            yield Address(call.path), call.outputs[None]
        number = call.number if n_calls[call.path] > 1 else None
        if call.number < MAX_CALLS_LISTED:
            yield from ((Address(call.path, number, key), tensor) for key, tensor in call.outputs.items())


def _means(address: Address, pattern: str) -> bool:
    """Whether the pattern of a kind means the layer, or the module that it is a call of."""
    return matches(str(address), pattern) or matches(str(address._replace(call=None)), pattern)


def probed_twice(layers: Sequence[Layer], others: Sequence[Layer], n_samples: int, n_others: int) -> tuple[Layer, ...]:
    """The layers as a batch of another size shows them too.

    Whatever has the batch's size by chance, such as a sequence on the first axis, has another problem there. A layer
    of the second batch that is not usable is none of the first.
    """
    seen_again = {layer.path: layer for layer in others}
    return tuple(_not_by_chance(layer, seen_again.get(layer.path), n_samples, n_others) for layer in layers)


def _not_by_chance(layer: Layer, other: Layer | None, n_samples: int, n_others: int) -> Layer:
    if layer.problem:
        return layer
    if other is None:  # modules are always listed, their calls and entries as they come
        return replace(layer, problem=f"is not there with {n_others} samples, as it is with {n_samples}")
    if not other.problem:
        return layer
    problem = f"{other.problem} (seen with {n_others} samples, not with {n_samples})"
    return replace(layer, problem=problem)


def choose_layers(
    network: str, model: nn.Module, layers: Sequence[Layer], wanted: str | Sequence[str]
) -> tuple[Layer, ...]:
    """The usable layers that take part, in order of the forward pass.

    Args:
        network: `teacher` or `student`, for messages.
        wanted: `auto`, or names and globs; `*` stays within one part of a path, so that `blocks.*`
            names the blocks and not what is inside them; `trunk#*` are all calls, `trunk#1[key]` is
            an entry of what one call outputs. Names may, but need not, name wrappers.

    Raises:
        LayerNotFound: a name matches nothing or only layers that cannot be used; all problems at once.
    """
    if isinstance(unwrapped(model), torch.jit.ScriptModule):
        raise LayerNotFound(
            f"{network}: a TorchScript network (scripted or traced) runs its layers without hooks, so that none can "
            "be used; give the nn.Module it was made from"
        )
    if isinstance(wanted, str):
        return find_trunk(network, model, layers).layers
    problems, chosen = [], set()
    for pattern in wanted:
        matched = [x for x in layers if is_part(x.path) and matches_address(x.path, pattern)]
        matched = matched or [x for x in layers if matches(x.path, pattern)]
        if not matched:
            others = other_names(model)
            matched = [x for x in layers if any(matches(name, pattern) for name in _aliases(x.path, others))]
        usable = [layer.path for layer in matched if not layer.problem]
        chosen.update(usable)
        if not matched:
            hint = did_you_mean(pattern, [layer.path for layer in layers])
            problems.append(f"{network} has no layer `{pattern}`{hint}; `mapsearch layers STUDY.yaml` lists them")
        elif not usable:
            problems.append(f"{network} layer `{matched[0].path}` cannot be used: {matched[0].problem}")
    if problems:
        raise LayerNotFound(*problems)
    return tuple(layer for layer in layers if layer.path in chosen)


def _aliases(path: str, others: Mapping[str, str]) -> list[str]:
    """Further names of a layer: its module's, with the same call and key."""
    address = parse_address(path)
    return [str(address._replace(path=name)) for name, bare in others.items() if bare == address.path]


@torch.no_grad()
def _calls(model: nn.Module, modules: dict[str, nn.Module], forward: Callable[[nn.Module], Any]) -> list[_Call]:
    """What modules output in one pass in eval mode, call by call: shape and type only, nothing is held in memory."""
    calls: list[_Call] = []
    n_calls: Counter[str] = Counter()

    def watch(path: str) -> Any:
        def record(module: nn.Module, args: Any, output: Any) -> None:
            calls.append(_Call(path, n_calls[path], _shapes(output)))
            n_calls[path] += 1

        return record

    mode = model.training
    with ExitStack() as stack:
        stack.enter_context(every_module_runs())
        stack.enter_context(watchable(model, modules))
        stack.callback(model.train, mode)
        for path, module in modules.items():
            if isinstance(module, torch.jit.ScriptModule):
                continue  # which takes no hooks
            stack.callback(module.register_forward_hook(watch(path)).remove)
        forward(model.eval())
    return calls


def _shapes(output: Any) -> dict[str | None, Tensor | None]:
    """The feature of an output under None, and the tensors among its entries, if it has several."""
    inner = entries(output)
    tensors = {key: value for key, value in inner.items() if isinstance(value, Tensor)} if len(inner) > 1 else {}
    every: list[tuple[str | None, Tensor | None]] = [(None, feature_of(output)), *tensors.items()]
    return {key: None if x is None else torch.empty_like(x, device="meta") for key, x in every}


def _layer(
    address: Address, module: nn.Module, tensor: Tensor | None, n_calls: int, n_samples: int,
    before: Kind | None, stated_kind: Kind | None,
) -> Layer:  # fmt: skip
    kind = (stated_kind or kind_of(module, tensor, before)) if tensor is not None else None
    shape = tuple(tensor.shape[1:]) if tensor is not None else ()
    problem = tensor_problem(module, tensor, n_samples, stated_kind)
    if n_calls > 1:
        last = min(n_calls, MAX_CALLS_LISTED) - 1
        choice = f"choose one of its calls, `{address.path}#0` ... `{address.path}#{last}`"
        problem = f"runs {n_calls} times per forward pass (shared weights); {choice}"
    return Layer(str(address), type(module).__name__, kind, shape, n_calls, problem)


def _idle_layer(path: str, module: nn.Module) -> Layer:
    return Layer(path, type(module).__name__, None, (), 0, _idle_problem(path, module))


def _idle_problem(path: str, module: nn.Module) -> str:
    if isinstance(module, torch.jit.ScriptModule):
        return "TorchScript, which runs without hooks; give the nn.Module it was made from"
    if isinstance(module, CONTAINERS):
        children = [f"`{path}.{name}`" for name, _ in module.named_children()]
        offer = f"; choose among {children[0]} ... {children[-1]}" if children else ""
        return f"a {type(module).__name__} that is never called itself{offer}"
    return "ran 0 times on the check batch; choose a layer that runs in every forward pass"
