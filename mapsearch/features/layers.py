"""The layers of a network as seen on one real batch, and the choice of those that take part."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn

from mapsearch.core.errors import LayerNotFound, did_you_mean
from mapsearch.core.layers import Kind, Layer
from mapsearch.features.kinds import CONVOLUTIONS, kind_of, matches, tensor_problem
from mapsearch.features.modules import bare_modules, other_names, unwrapped, watchable
from mapsearch.features.taps import every_module_runs, feature_of

_CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)


@torch.no_grad()
def list_layers(
    model: nn.Module,
    forward: Callable[[nn.Module], Any],
    n_samples: int,
    kinds: Mapping[str, Kind] | None = None,
) -> tuple[Layer, ...]:
    """All modules below the model: first those that ran, in order of their first output, then the others.

    Args:
        forward: runs the model on one batch of `n_samples` samples.
        kinds: names and globs of layers whose kind cannot be inferred from their shape.
    """
    modules = {path: module for path, module in bare_modules(model).items() if path}
    outputs = _outputs(model, modules, forward)
    layers: list[Layer] = []
    before: Kind | None = None
    for path in [*outputs, *(path for path in modules if path not in outputs)]:
        stated_kind = next((kind for pattern, kind in (kinds or {}).items() if matches(path, pattern)), None)
        layers.append(_layer(path, unwrapped(modules[path]), outputs.get(path, []), n_samples, before, stated_kind))
        before = layers[-1].kind or before
    return tuple(layers)


def choose_layers(
    network: str, model: nn.Module, layers: Sequence[Layer], wanted: str | Sequence[str]
) -> tuple[Layer, ...]:
    """The usable layers that take part, in order of the forward pass.

    Args:
        network: `teacher` or `student`, for messages.
        wanted: `auto`, or names and globs; `*` stays within one part of a path, so that `blocks.*`
            names the blocks and not what is inside them. Names may, but need not, name wrappers.

    Raises:
        LayerNotFound: a name matches nothing or only layers that cannot be used; all problems at once.
    """
    if isinstance(unwrapped(model), torch.jit.ScriptModule):
        raise LayerNotFound(
            f"{network}: a TorchScript network (scripted or traced) runs its layers without hooks, so that none can "
            "be used; give the nn.Module it was made from"
        )
    if isinstance(wanted, str):
        return _trunk(network, model, layers)
    problems, chosen, others = [], set(), other_names(model)
    for pattern in wanted:
        meant = {others[name] for name in others if matches(name, pattern)}
        matched = [x for x in layers if matches(x.path, pattern)] or [x for x in layers if x.path in meant]
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


def _outputs(
    model: nn.Module, modules: dict[str, nn.Module], forward: Callable[[nn.Module], Any]
) -> dict[str, list[Tensor | None]]:
    """What each module outputs in one pass in eval mode: shape and type only, so that nothing is held in memory."""
    outputs: dict[str, list[Tensor | None]] = {}

    def watch(path: str) -> Any:
        def record(module: nn.Module, args: Any, output: Any) -> None:
            tensor = feature_of(output)
            outputs.setdefault(path, []).append(None if tensor is None else torch.empty_like(tensor, device="meta"))

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
    return outputs


def _layer(
    path: str,
    module: nn.Module,
    outputs: list[Tensor | None],
    n_samples: int,
    before: Kind | None,
    stated_kind: Kind | None,
) -> Layer:
    tensor = outputs[0] if outputs else None
    kind = (stated_kind or kind_of(module, tensor, before)) if tensor is not None else None
    shape = tuple(tensor.shape[1:]) if tensor is not None else ()
    problem = _problem(module, path, outputs, n_samples, stated_kind)
    return Layer(path, type(module).__name__, kind, shape, len(outputs), problem)


def _problem(
    module: nn.Module, path: str, outputs: list[Tensor | None], n_samples: int, stated_kind: Kind | None
) -> str:
    if isinstance(module, torch.jit.ScriptModule):
        return "TorchScript, which runs without hooks; give the nn.Module it was made from"
    if not outputs and isinstance(module, _CONTAINERS):
        children = [f"`{path}.{name}`" for name, _ in module.named_children()]
        offer = f"; choose among {children[0]} ... {children[-1]}" if children else ""
        return f"a {type(module).__name__} that is never called itself{offer}"
    if not outputs:
        return "ran 0 times on the check batch; choose a layer that runs in every forward pass"
    if len(outputs) > 1:
        return f"runs {len(outputs)} times per forward pass (shared weights); choose a layer that runs once"
    return tensor_problem(module, outputs[0], n_samples, stated_kind)


def _trunk(network: str, model: nn.Module, layers: Sequence[Layer]) -> tuple[Layer, ...]:
    """The repeated blocks of the main trunk.

    Blocks are instances of one class that holds most of the parameters and is repeated. Looked
    for in turn: blocks inside a container, blocks anywhere, containers, single weighted layers. The
    layer that ran last is left out: it outputs the logits, which have a loss of their own.
    """
    modules = {path: unwrapped(module) for path, module in bare_modules(model).items()}
    usable = _without_head([layer for layer in layers if not layer.problem])
    tiers: tuple[Callable[[str], bool], ...] = (
        lambda path: _is_block(modules[path]) and isinstance(modules[path.rpartition(".")[0]], _CONTAINERS),
        lambda path: _is_block(modules[path]),
        lambda path: isinstance(modules[path], nn.Sequential),
        lambda path: isinstance(modules[path], (nn.Linear, *CONVOLUTIONS)),
    )
    families = [_largest_family([layer for layer in usable if tier(layer.path)], modules) for tier in tiers]
    for min_containers in (3, 2):  # two containers are usually trunk and head: first try everything else
        for tier, family in enumerate(families):
            if len(family) >= (min_containers if tier >= 2 else 2):
                return tuple(family)
    if usable:
        return (usable[-1],)
    why = next((f"; `{layer.path}`, for one: {layer.problem}" for layer in layers if layer.problem), "")
    raise LayerNotFound(f"{network}: no usable layer found{why}; `mapsearch layers STUDY.yaml` gives all reasons")


def _without_head(usable: list[Layer]) -> list[Layer]:
    """Without the layer that ran last and, where that is a container, its own last layers."""
    end = len(usable)
    while end and (end == len(usable) or _is_inside(usable[end - 1], usable[end])):
        end -= 1
    return usable[:end]


def _is_inside(layer: Layer, other: Layer) -> bool:
    return layer.path.startswith(f"{other.path}.")


def _is_block(module: nn.Module) -> bool:
    return not isinstance(module, _CONTAINERS) and any(True for _ in module.children())


def _largest_family(candidates: Sequence[Layer], modules: dict[str, nn.Module]) -> list[Layer]:
    """The class with the most instances among those that hold at least half of the largest share of parameters."""
    families: dict[str, list[Layer]] = {}
    for layer in candidates:
        family = families.setdefault(layer.type, [])
        if not any(_is_inside(layer, other) or _is_inside(other, layer) for other in family):
            family.append(layer)
    size = {name: sum(_n_parameters(modules[layer.path]) for layer in family) for name, family in families.items()}
    large = [family for name, family in families.items() if size[name] >= 0.5 * max(size.values())]
    return max(large, key=len, default=[])


def _n_parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())
