"""What a target can express, compared with what a recipe uses; the difference is listed as unsupported."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

from mapsearch.core.recipe import BalanceName
from mapsearch.exports.source import ExportSource


@dataclass(frozen=True)
class Capability:
    """What a target can express beside losses, projectors and weights, which every target has all of.

    As it stands, everything that any recipe holds. `outputs`: whether the file is given what the output loss takes, or
    finds a network's logits itself. `masks_by_layer`: whether an encoder and a decoder have a mask of padding each.
    `nothing`: whether a recipe may match nothing at all.
    """

    balances: frozenset[BalanceName] = frozenset(get_args(BalanceName))
    outputs: Literal["given", "logits"] = "given"
    masks_by_layer: bool = True
    nothing: bool = False


FROZEN_BALANCE = frozenset[BalanceName]({"frozen"})
"""For targets in which the weights of the terms stay as they are at the start."""


@dataclass(frozen=True)
class Unsupported:
    """One thing that a recipe has and a target cannot express.

    `sentence` says what the recipe has and what the target does instead. `fatal`: the file would not run, or would
    be another method; it is refused even with `--lossy`.
    """

    sentence: str
    fatal: bool = False


def unsupported(source: ExportSource, capability: Capability) -> tuple[Unsupported, ...]:
    """What the target cannot express of this recipe; only what the recipe uses is compared."""
    return tuple(_unsupported(source, capability))


def restricted_to(source: ExportSource, capability: Capability, left_out: Sequence[Unsupported] = ()) -> ExportSource:
    """The trial as the target can express it, with a note of what is left out; unchanged if nothing is."""
    recipe = source.recipe
    if recipe.balance not in capability.balances:
        recipe = replace(recipe, balance="frozen")
    return replace(source, recipe=recipe, unsupported=tuple(one.sentence for one in left_out))


def _unsupported(source: ExportSource, capability: Capability) -> Iterator[Unsupported]:
    recipe, form = source.recipe, source.outputs.form
    if not (recipe.mapping.pairs or recipe.uses_outputs or capability.nothing):
        yield Unsupported("it learns from the labels alone, so that there is nothing to distil", fatal=True)
    if recipe.balance not in capability.balances:
        changes = f"`balance: {recipe.balance}` changes the weights of the terms during training"
        yield Unsupported(f"{changes}, but in the target they keep their initial values")
    if recipe.uses_outputs and form not in ("", "labels") and capability.outputs == "logits":
        given = f"outputs are not matched as the network gives them ({form})"
        yield Unsupported(f"{given}, but the target does", fatal=True)
    if recipe.mapping.pairs and source.outputs.from_decoder and not capability.masks_by_layer:
        each = "encoder and decoder have a mask of padding each"
        yield Unsupported(f"{each}, but the target has one for all layers", fatal=True)
