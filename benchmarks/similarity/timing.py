"""Process CPU time of several things interleaved, as ratios to the first of them."""

import gc
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from time import process_time


@dataclass(frozen=True)
class Spread:
    """Median, smallest and largest of the repeats."""

    median: float
    low: float
    high: float

    def over(self, other: "Spread") -> float:
        """Ratio of the medians."""
        return self.median / other.median


def interleaved(cases: dict[str, Callable[[], object]], repeats: int) -> dict[str, list[float]]:
    """Seconds of each case, one per repeat; every repeat runs all cases, each time beginning with another.

    Every case must have run once before.
    """
    names = list(cases)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for repeat in range(repeats):
        start = repeat % len(names)
        gc.collect()
        gc.disable()  # a collection would land in whichever case comes next
        for name in names[start:] + names[:start]:
            begun = process_time()
            cases[name]()
            seconds[name].append(process_time() - begun)
        gc.enable()
    return seconds


def spread(values: list[float]) -> Spread:
    """The spread of one case's seconds."""
    return Spread(median(values), min(values), max(values))


def ratios(seconds: dict[str, list[float]], to: str) -> dict[str, Spread]:
    """Each case over `to`, repeat by repeat."""
    return {name: spread([a / b for a, b in zip(values, seconds[to], strict=True)]) for name, values in seconds.items()}
