"""The bars: what similarity may cost, err and hold at most, each judged from the numbers of one run."""

from dataclasses import dataclass
from typing import Any

from benchmarks.similarity.costs import EQUAL, POOLED, SMALL

FASTEST = "pytorch-cka"
COSTS = {
    ("transformer", SMALL): 0.04,
    ("transformer", POOLED): 0.015,
    ("cnn", SMALL): 0.10,
    ("cnn", POOLED): 0.035,
    ("mlp", SMALL): 0.25,
}
"""Similarity work over forward-only time."""
WIDE, WIDE_BAR = "48 x 24", 33 / 79
"""48 x 24 layers of width 512: 33 ms where the fastest package took 79."""
EQUAL_BAR = 1.15
"""Times the fastest package's work, at blocks as large as its own."""
ERROR_BAR, DIAGONAL_BAR, MEMORY_BAR, BIAS_BAR = 1e-5, 1e-6, 64.0, 0.03


@dataclass(frozen=True)
class Bar:
    """One bar, what was measured, and whether it holds; None where nothing was there to compare with."""

    what: str
    limit: float
    measured: float | None
    unit: str = ""

    @property
    def verdict(self) -> str:
        """`met`, `not met` or `not measured`."""
        if self.measured is None:
            return "not measured"
        return "met" if self.measured <= self.limit else "not met"


def judge(results: dict[str, Any]) -> list[Bar]:
    """All bars, from the plain data that a run records."""
    alone = results["alone"]
    bars = [
        Bar(f"{work}: {who}", limit, _median(alone.get(work, {}).get(who)), "of forward")
        for (work, who), limit in COSTS.items()
    ]
    for work, rows in alone.items():
        bars.append(Bar(f"{work}: blocks of the batch over {FASTEST}", EQUAL_BAR, _over(rows, EQUAL), "times"))
    wide = results["by_layers"].get(WIDE, {})
    bars.append(Bar(f"{WIDE} layers of width 512: blocks of 64 over {FASTEST}", WIDE_BAR, _over(wide, SMALL), "times"))
    errors = [v for row in _named(results["errors"]) for who, v in row.items() if who.startswith("mapsearch")]
    bars.append(Bar("largest error on the list", ERROR_BAR, _worst(errors)))
    bars.append(Bar("identical networks: diagonal off 1", DIAGONAL_BAR, _worst(results["identical"].values())))
    debiased = [abs(v) for row in results["bias"].values() for who, vs in row.items() if "debiased" in who for v in vs]
    bars.append(Bar("unrelated features: largest |debiased| at n = 256", BIAS_BAR, max(debiased)))
    ours = [v for rows in results["memory"].values() for who, v in rows.items() if who.startswith("mapsearch")]
    bars.append(Bar("peak memory beyond forward passes", MEMORY_BAR, max(ours, default=None), "MiB"))
    return bars


def _named(errors: dict[str, Any]) -> list[dict[str, Any]]:
    return list(errors["list"].values())


def _median(cell: Any) -> float | None:
    return cell["median"] if isinstance(cell, dict) else None


def _over(rows: dict[str, Any], who: str) -> float | None:
    ours, theirs = _median(rows.get(who)), _median(rows.get(FASTEST))
    return ours / theirs if ours is not None and theirs is not None else None


def _worst(values: Any) -> float:
    """The largest; whatever was raised or is not a number counts as infinite."""
    return max(v if isinstance(v, float) else float("inf") for v in values)
