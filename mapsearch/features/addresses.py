"""Layers by address: the module that it names, and the entry of what that outputs."""

from collections.abc import Collection, Mapping
from typing import Any

from torch import nn

from mapsearch.core.addresses import Address, parse_address
from mapsearch.core.errors import LayerNotFound, did_you_mean
from mapsearch.features.modules import bare_modules, named_modules


def find_layers(model: nn.Module, names: Collection[str]) -> dict[str, tuple[Address, nn.Module]]:
    """The address and module behind each name; a module's own name is never taken for an address.

    Raises:
        LayerNotFound: the model has no such module.
    """
    modules = named_modules(model)
    addresses = {name: address_in(modules, name) for name in names}
    for path in (address.path for address in addresses.values()):
        if path not in modules:
            raise LayerNotFound(f"the model has no layer `{path}`{did_you_mean(path, list(bare_modules(model)))}")
    return {name: (address, modules[address.path]) for name, address in addresses.items()}


def address_in(paths: Collection[str], name: str) -> "Address":  # quoted: in exported files the class comes later
    """The address that a name stands for in a network with modules of these paths."""
    return Address(name) if name in paths else parse_address(name)


def entries(output: Any) -> dict[str, Any]:
    """What a dict, list, tuple or dataclass holds, by key, position or field; nothing of anything else."""
    if isinstance(output, Mapping):
        return {str(key): value for key, value in output.items()}
    if isinstance(output, (tuple, list)):
        return {str(i): value for i, value in enumerate(output)}
    return {name: getattr(output, name) for name in getattr(output, "__dataclass_fields__", ())}
