"""A recorded table as numbers: what every mapping was worth, by rung, draw of the data and order of its samples."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
PLAIN = ("none", "outputs")


@dataclass(frozen=True)
class Table:
    """Values of complete columns only, more being better.

    Attributes:
        maps: names of the mappings, `[M]`.
        full, short: values `[M, D]` of the first order of each draw; short runs are measured on validation samples.
        draws: the draw of each column of `full`; those of `short` are the same.
        orders: full runs `[M, D', O]` of the draws that have several orders.
        plain: full runs `[D]` of the controls without features.
        similarity: by student (`untrained`, `trained`) and measure, `[S, T]`.
        told: what else was recorded: metric, tuned recipes, CPU seconds.
        by_engine: where students were stacked: differences of the engine's values of the same runs, `[runs]`.
    """

    name: str
    maps: tuple[str, ...]
    full: Floats
    short: Floats
    draws: tuple[int, ...]
    orders: Floats
    plain: dict[str, Floats]
    similarity: dict[str, dict[str, Floats]]
    told: dict[str, Any]
    by_engine: Floats

    @property
    def n_teacher(self) -> int:
        """`T`."""
        return int(next(iter(self.similarity["untrained"].values())).shape[1])

    def only(self, maps: Sequence[str], name: str) -> "Table":
        """The table of these mappings alone."""
        rows = [self.row(m) for m in maps]
        full, short, orders = (values[rows] for values in (self.full, self.short, self.orders))
        return replace(self, name=name, maps=tuple(maps), full=full, short=short, orders=orders)

    def row(self, name: str) -> int:
        """The place of a mapping."""
        return self.maps.index(name)


def read_table(path: Path) -> Table:
    """The table that `fill` wrote."""
    return table_of(path.stem.removeprefix("tables-"), json.loads(path.read_text(encoding="utf-8")))


def table_of(name: str, data: dict[str, Any]) -> Table:
    """The table of what was recorded; a run that failed counts as the worst of its column."""
    runs: dict[str, dict[str, float]] = data["runs"]
    runs = {key: column for key, column in runs.items() if not key.startswith("tune")}
    names = max(runs.values(), key=len)
    maps = tuple(sorted(n for n in names if n not in PLAIN))
    whole = {key: column for key, column in runs.items() if len(column) == len(names)}
    n_draws = 1 + max(int(key.split("/")[1]) for key in runs)
    draws = tuple(d for d in range(n_draws) if {f"full/{d}/0", f"short/{d}/0"} <= whole.keys())

    def values(key: str) -> Floats:
        column = np.array([whole[key][m] for m in maps], dtype=float)
        return np.where(np.isnan(column), np.nanmin(column), column)

    full, short = (np.array([values(f"{rung}/{d}/0") for d in draws]).T for rung in ("full", "short"))
    ordered = [[values(f"full/{d}/{o}") for o in range(2)] for d in draws if f"full/{d}/1" in whole]
    orders = np.array(ordered).transpose(2, 0, 1) if ordered else np.empty((len(maps), 0, 2))
    plain = {name: np.array([whole[f"full/{d}/0"][name] for d in draws]) for name in PLAIN}
    similarity = {s: {m: np.array(v) for m, v in by.items()} for s, by in data["similarity"].items()}
    told = {key: value for key, value in data.items() if key not in ("runs", "similarity", "engine")}
    by_engine = np.array(
        [
            value - runs[key][name]
            for key, column in data.get("engine", {}).items()
            for name, value in column.items()
            if name in runs.get(key, {})
        ]
    )
    return Table(name, maps, full, short, draws, orders, plain, similarity, told, by_engine)
