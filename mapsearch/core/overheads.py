"""What recipes cost beside one without features: measured times smoothed over what recipes have in common."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Overheads:
    """Training time of a recipe with features over that of the control `outputs`: one, and what its parts add.

    Equal recipes cost the same, whatever the machine did besides while they were trained.
    """

    parts: Mapping[str, float]

    def of(self, recipe: Mapping[str, Any]) -> float:
        """That of a recipe with features, as `Recipe.to_json()` gives it."""
        return 1.0 + sum(n * self.parts.get(part, 0.0) for part, n in parts_of(recipe).items())

    def to_json(self) -> dict[str, Any]:
        """Plain data; `from_json` gives equal overheads back."""
        return {"parts": dict(self.parts)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Overheads":
        """The overheads that `to_json` wrote."""
        return cls(data["parts"])


def parts_of(recipe: Mapping[str, Any]) -> Counter[str]:
    """What takes time: to have features at all, the loss once for each term, each layer as often as it is matched.

    Pairs are terms of their own where they are summed, else the rows of the mapping are.
    """
    pairs = recipe["pairs"]
    rows = {pair["student"] for pair in pairs}
    loss = " ".join(("loss", recipe["loss"], recipe["projector"], recipe["aggregation"]))
    parts = Counter({"features": 1, loss: len(pairs) if recipe["aggregation"] == "sum" else len(rows)})
    parts.update(f"{network} {pair[network]}" for pair in pairs for network in ("student", "teacher"))
    return parts
