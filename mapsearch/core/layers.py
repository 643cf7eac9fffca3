"""What is known about one layer: its path, the kind and shape of its feature, and whether it can be used."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

Kind = Literal["vector", "tokens", "map"]


@dataclass(frozen=True)
class Layer:
    """A module as seen on one real batch of `B` samples.

    `shape` leaves out the batch axis: `[D]` of a vector, `[L, D]` of tokens, `[C, H, W]` (or
    `[C, L]`, `[C, D, H, W]`) of a map. `problem` says why the layer cannot be mapped, or is empty. `patches` are the
    height and width of the grid that the last tokens of a network on images form; None of all other layers.
    `sequence` tells the tokens of an encoder from those of a decoder, by the mask that they have; empty where there is
    one sequence only.
    """

    path: str
    type: str
    kind: Kind | None
    shape: tuple[int, ...]
    calls: int
    problem: str = ""
    patches: tuple[int, int] | None = None
    sequence: str = ""

    @property
    def width(self) -> int:
        """Number of channels: the axis a projector works on."""
        return self.shape[0] if self.kind == "map" else self.shape[-1]

    @property
    def positions(self) -> tuple[int, ...]:
        """Sizes of the axes other than the channels: `[L]`, `[H, W]`; empty for a vector."""
        return self.shape[1:] if self.kind == "map" else self.shape[:-1]

    def to_json(self) -> dict[str, Any]:
        """Plain data; `from_json` gives an equal layer back."""
        return {
            "path": self.path,
            "type": self.type,
            "kind": self.kind,
            "shape": list(self.shape),
            "calls": self.calls,
            "problem": self.problem,
            "patches": self.patches,
            "sequence": self.sequence,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Layer":
        """The layer that `to_json` wrote."""
        patches = data.get("patches")
        return cls(**{**data, "shape": tuple(data["shape"]), "patches": tuple(patches) if patches else None})


def fused_layer(layers: Sequence[Layer]) -> Layer:
    """The layer that a mixture of these behaves like: of their shape, maps on the smallest grid among them."""
    first = layers[0]
    sizes = tuple(min(sizes) for sizes in zip(*(layer.positions for layer in layers), strict=True))
    shape = (first.width, *sizes) if first.kind == "map" else (*sizes, first.width)
    return replace(first, path=" + ".join(layer.path for layer in layers), shape=shape)
