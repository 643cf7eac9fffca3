"""Masks of padding, one for all layers or one for each of several parts of a network.

A network that reads one sequence and writes another has a mask for each.
"""

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

from mapsearch.core.addresses import parse_address

OUTPUTS = "outputs"
"""The name under which what the networks output has its mask."""


def mask_for(masks: Any, *layers: str) -> Any:
    """The mask of the first of these layers that has one, or of the `outputs`; None where none has.

    Args:
        masks: one for all, or by name and glob: the first that means the layer, or something that it is part of.
    """
    if not isinstance(masks, Mapping):
        return masks
    pairs = ((layer, pattern) for layer in layers for pattern in masks)
    return next((masks[pattern] for layer, pattern in pairs if is_within(layer, pattern)), None)


def sequence_of(masks: Any, layer: str) -> str:
    """Which of several masks a layer has, by the first name or glob of that very mask; empty where there is one only.

    Layers of two masks are of two sequences, also where these are of one length.
    """
    own = mask_for(masks, layer)
    if not isinstance(masks, Mapping) or own is None:
        return ""
    return next((pattern for pattern, mask in masks.items() if mask is own and pattern != OUTPUTS), "")


def is_within(layer: str, pattern: str) -> bool:
    """Whether a layer is what a name or glob means or part of it; each `*` stays within one part of the path."""
    parts, wanted = parse_address(layer).path.split("."), pattern.split(".")
    return len(wanted) <= len(parts) and all(map(fnmatchcase, parts, wanted))
