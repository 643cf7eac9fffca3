"""The pairs of networks, and what is tuned before their tables are filled."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.tables.maps import Kind
from mapsearch.core.mapping import LayerMapping
from mapsearch.core.recipe import Recipe

ROOT = Path(__file__).parents[2]
RATES = (0.3, 1.0, 3.0)
SHORT = 0.3
"""Part of the schedule that a short run takes."""


@dataclass(frozen=True)
class Pair:
    """A study file, which of its mappings are tried, and recipes to tune.

    `outputs` is what features stand on; its learning rate, weight of the task loss and temperature are tuned, then the
    learning rate and share of the features with the mapping `uniform`. `stacked`: all students of a column are trained
    as one stack instead of by the engine.
    """

    study: Path
    maps: Kind
    outputs: Recipe
    rates: Sequence[float] = RATES
    shares: Sequence[float] = (0.5, 0.9)
    n_orders: int = 1
    stacked: bool = False

    def plain(self) -> list[Recipe]:
        """The recipes without features: the task alone, and outputs with and without it."""
        alone = [Recipe(lr_factor=rate) for rate in self.rates]
        outputs = [
            replace(self.outputs, lr_factor=rate, task_weight=weight, temperature=temperature)
            for rate in self.rates
            for weight, temperature in ((0.0, 2.0), (1.0, 2.0), (0.0, 4.0))
        ]
        return [*alone, *outputs]

    def featured(self, outputs: Recipe, mapping: LayerMapping) -> list[Recipe]:
        """A mapping with every share and rate, on top of these outputs; features do not fade."""
        return [
            replace(outputs, mapping=mapping, projector="none", anneal=None, feature_share=share, lr_factor=rate)
            for share in self.shares
            for rate in self.rates
        ]


PAIRS = {
    "few_vectors": Pair(
        ROOT / "benchmarks" / "tables" / "few_vectors.yaml",
        "all",
        Recipe(output_weight=1.0, share_of="gradient"),
        n_orders=2,
        stacked=True,
    ),
    "few_images": Pair(
        ROOT / "studies" / "few_images" / "study.yaml",
        "all, rows off too",
        Recipe(output_weight=3.0, share_of="gradient"),
        rates=(0.3, 1.0, 3.0),
        shares=(0.5, 0.95),
    ),
    "pruned_lm": Pair(ROOT / "studies" / "pruned_lm" / "study.yaml", "rising, one-to-one", Recipe(output_weight=1.0)),
}
