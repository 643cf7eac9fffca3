"""`auto`: the repeated blocks of a network's main trunk."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import nn
from torch.fx import GraphModule

from mapsearch.core.addresses import parse_address
from mapsearch.core.errors import LayerNotFound
from mapsearch.core.layers import Layer
from mapsearch.features.kinds import CONVOLUTIONS
from mapsearch.features.modules import bare_modules, unwrapped

CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)

Modules = dict[str, nn.Module]


@dataclass(frozen=True)
class Trunk:
    """The layers that `auto` takes, and why not the blocks that it looked for: empty where it took them."""

    layers: tuple[Layer, ...]
    note: str = ""


def find_trunk(network: str, model: nn.Module, layers: Sequence[Layer]) -> Trunk:
    """The repeated blocks of the main trunk.

    Blocks are instances of one class that holds most of the parameters and is repeated; the calls of one block that
    runs several times are blocks too. To those of an `encoder` come those of the `decoder` beside it. Looked for in
    turn: blocks inside a container, blocks anywhere, containers inside one, containers, single weighted layers. What a
    student cannot learn in, because nothing up to it is trainable, is left out, and so is the head: the layer that ran
    last, unless it is a block like the others.

    Args:
        network: `teacher` or `student`, for messages.

    Raises:
        LayerNotFound: no layer can be used.
    """
    modules = {path: unwrapped(module) for path, module in bare_modules(model).items()}
    addresses = {layer.path: parse_address(layer.path) for layer in layers if layer.path not in modules}
    calls = {name: address for name, address in addresses.items() if address.key is None}
    usable = [layer for layer in layers if not layer.problem and (layer.path in modules or layer.path in calls)]
    single = {*modules, *(name for name, address in calls.items() if address.call is None)}
    modules |= {name: modules[address.path] for name, address in calls.items()}
    if network == "student":
        usable = _learning(usable, modules)
    chosen = _chosen(usable, modules, single)
    if not chosen:
        why = next((f"; `{layer.path}`, for one: {layer.problem}" for layer in layers if layer.problem), "")
        raise LayerNotFound(f"{network}: no usable layer found{why}; `mapsearch layers STUDY.yaml` gives all reasons")
    if isinstance(unwrapped(model), GraphModule):
        traced = "the network was traced by torch.fx, so that its blocks are not modules that run"
        way_out = "give the nn.Module it was made from"
        return Trunk(tuple(chosen), f"{traced}; auto took {len(chosen)} layers such as `{chosen[0].path}`: {way_out}")
    return Trunk(tuple(chosen), _note(network, [x for x in layers if x.path in single], chosen, modules))


def _chosen(usable: list[Layer], modules: Modules, single: set[str]) -> list[Layer]:
    """Only blocks are taken call by call: a layer that runs several times by itself is an activation or a head."""
    headless = [layer for layer in _without_head(usable) if layer.path in single]
    tiers: tuple[tuple[list[Layer], Callable[[str], bool]], ...] = (
        (usable, lambda path: _is_block(modules[path]) and _is_in_container(path, modules)),
        (usable, lambda path: _is_block(modules[path])),
        (headless, lambda path: isinstance(modules[path], nn.Sequential) and _is_in_container(path, modules)),
        (headless, lambda path: isinstance(modules[path], nn.Sequential)),
        (headless, lambda path: isinstance(modules[path], (nn.Linear, *CONVOLUTIONS))),
    )
    of_tiers = [[layer for layer in candidates if tier(layer.path)] for candidates, tier in tiers]
    families = [
        _with_other_part(_without_odd_end(_largest_family(layers, modules), headless), layers, modules)
        for layers in of_tiers
    ]
    for min_containers in (3, 2):  # two that no container holds are usually trunk and head: first try all else
        for number, family in enumerate(families):
            if len(family) >= (min_containers if number >= 3 else 2):
                return family
    return headless[-1:]


def _note(network: str, layers: Sequence[Layer], chosen: Sequence[Layer], modules: Modules) -> str:
    """Which blocks are repeated more often than what was taken is, and cannot be used."""
    blocks = [layer for layer in layers if layer.path in modules and _is_block(modules[layer.path])]
    family = max(_large_families(blocks, modules), key=_n_repeats, default=[])
    unusable = [layer for layer in family if layer.problem]
    if not unusable or {layer.type for layer in chosen} == {family[0].type} or _n_repeats(family) <= len(chosen):
        return ""
    first, taken = unusable[0], chosen[0]
    wanted = (
        f"auto looked for the {_n_repeats(family)} repeated {first.type} blocks, but `{first.path}` {first.problem}"
    )
    return f"{wanted}; it took {len(chosen)} layers such as `{taken.path}` instead: name others in `layers.{network}`"


def _n_repeats(family: Sequence[Layer]) -> int:
    return sum(max(1, layer.calls) for layer in family)


def _learning(usable: list[Layer], modules: Modules) -> list[Layer]:
    """The layers that some trainable parameter can change: their own, or one of a layer that ran before."""
    for i, layer in enumerate(usable):
        if any(parameter.requires_grad for parameter in modules[layer.path].parameters()):
            return usable[i:]
    return usable


def _without_head(usable: list[Layer]) -> list[Layer]:
    """Without the layer that ran last and, where that is a container, its own last layers."""
    end = len(usable)
    while end and (end == len(usable) or _is_inside(usable[end - 1], usable[end])):
        end -= 1
    return usable[:end]


def _without_odd_end(family: list[Layer], headless: Sequence[Layer]) -> list[Layer]:
    """The blocks without one that ran last of all and is unlike the others: a head of their class."""
    widths = [layer.width for layer in family[:-1]]
    is_head = family and family[-1] not in headless and family[-1].width not in widths
    return family[:-1] if is_head else family


def _with_other_part(family: list[Layer], candidates: Sequence[Layer], modules: Modules) -> list[Layer]:
    """The blocks of an encoder with those of its decoder, which often are of another class; in their order."""
    parts = family[0].path.split(".") if family else []
    for part, other in (("encoder", "decoder"), ("decoder", "encoder")):
        sibling = ".".join((*parts[: parts.index(part)], other, "")) if part in parts else ""
        of_other = [layer for layer in candidates if sibling and layer.path.startswith(sibling)]
        if of_other and not any(layer in family for layer in of_other):
            blocks = _largest_family(of_other, modules)
            return [layer for layer in candidates if layer in family or layer in blocks]
    return family


def _is_inside(layer: Layer, other: Layer) -> bool:
    return parse_address(layer.path).path.startswith(f"{parse_address(other.path).path}.")


def _is_block(module: nn.Module) -> bool:
    return not isinstance(module, CONTAINERS) and any(True for _ in module.children())


def _is_in_container(path: str, modules: Modules) -> bool:
    return isinstance(modules[path.rpartition(".")[0]], CONTAINERS)


def _largest_family(candidates: Sequence[Layer], modules: Modules) -> list[Layer]:
    """The class with the most instances among those that hold at least half of the largest share of parameters."""
    return max(_large_families(candidates, modules), key=len, default=[])


def _large_families(candidates: Sequence[Layer], modules: Modules) -> list[list[Layer]]:
    families: dict[str, list[Layer]] = {}
    for layer in candidates:
        family = families.setdefault(layer.type, [])
        if not any(_is_inside(layer, other) or _is_inside(other, layer) for other in family):
            family.append(layer)
    size = {name: sum(_n_parameters(modules[layer.path]) for layer in family) for name, family in families.items()}
    return [family for name, family in families.items() if size[name] >= 0.5 * max(size.values())]


def _n_parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())
