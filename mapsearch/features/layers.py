"""The layers of a network as seen on one real batch, and the choice of those that take part."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from mapsearch.core.errors import LayerNotFound, did_you_mean
from mapsearch.core.layers import Kind, Layer
from mapsearch.features.kinds import kind_of, matches, tensor_problem
from mapsearch.features.modules import bare_modules, other_names, unwrapped, watchable
from mapsearch.features.taps import every_module_runs, feature_of
from mapsearch.features.trunk import CONTAINERS, find_trunk


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


def probed_twice(layers: Sequence[Layer], others: Sequence[Layer], n_samples: int, n_others: int) -> tuple[Layer, ...]:
    """The layers as a batch of another size shows them too.

    Whatever has the batch's size by chance, such as a sequence on the first axis, has another problem there. A layer
    of the second batch that is not usable is none of the first.
    """
    seen_again = {layer.path: layer for layer in others}
    return tuple(_not_by_chance(layer, seen_again.get(layer.path, layer), n_samples, n_others) for layer in layers)


def _not_by_chance(layer: Layer, other: Layer, n_samples: int, n_others: int) -> Layer:
    if layer.problem or not other.problem:
        return layer
    problem = f"with {n_others} samples it {other.problem}; with {n_samples} that did not show"
    return replace(layer, problem=problem)


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
        return find_trunk(network, model, layers).layers
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
    if not outputs and isinstance(module, CONTAINERS):
        children = [f"`{path}.{name}`" for name, _ in module.named_children()]
        offer = f"; choose among {children[0]} ... {children[-1]}" if children else ""
        return f"a {type(module).__name__} that is never called itself{offer}"
    if not outputs:
        return "ran 0 times on the check batch; choose a layer that runs in every forward pass"
    if len(outputs) > 1:
        return f"runs {len(outputs)} times per forward pass (shared weights); choose a layer that runs once"
    return tensor_problem(module, outputs[0], n_samples, stated_kind)
