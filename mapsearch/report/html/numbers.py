"""Numbers as people read them: a metric's values and gains in one unit, durations, multiples."""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass

FRACTIONS = frozenset(
    {"accuracy", "acc", "agreement", "f1", "auc", "auroc", "precision", "recall", "iou", "miou", "dice", "error"}
)
"""Words of a metric's name that say it is a part of a whole: such values from 0 to 1 are written in per cent."""

MOST_DECIMALS = 6


@dataclass(frozen=True)
class Unit:
    """How a metric is written: every value times `factor`, with so many decimals."""

    metric: str
    factor: float
    decimals: int

    @property
    def gain_name(self) -> str:
        """What gains are counted in: `points of accuracy`, or the metric itself."""
        return f"points of {self.metric}" if self.factor == 100 else self.metric

    def value(self, value: float) -> str:
        """A value with its unit: `97.62 %`."""
        return f"{self.number(value)} %" if self.factor == 100 else self.number(value)

    def number(self, value: float) -> str:
        """A value without its unit, for a column or an axis."""
        return minus(f"{self._scaled(value):.{self.decimals}f}")

    def gain(self, value: float) -> str:
        """A difference with its sign; zero has none."""
        scaled = self._scaled(value)
        return minus(f"{scaled:+.{self.decimals}f}") if scaled else f"{0:.{self.decimals}f}"

    def gain_with_unit(self, value: float) -> str:
        """A difference with its sign and unit: `+0.17 points`."""
        return self.gain(value) + (" points" if self.factor == 100 else "")

    def size(self, value: float) -> str:
        """A difference without its sign, with its unit: `0.63 points`."""
        return f"{abs(self._scaled(value)):.{self.decimals}f}" + (" points" if self.factor == 100 else "")

    def interval(self, low: float, high: float) -> str:
        """`-0.38 to +0.21`."""
        return f"{self.gain(low)} to {self.gain(high)}"

    def _scaled(self, value: float) -> float:
        return round(self.factor * value, self.decimals) + 0.0


def unit_of(metric: str, values: Iterable[float], margin: float | None) -> Unit:
    """The unit of a metric.

    Args:
        values: some of what was measured; a fraction has all of them in [0, 1].
        margin: a difference that does not matter; two digits of it are shown.
    """
    measured = list(values)
    words = set(re.split(r"[^a-z0-9]+", metric.lower()))
    is_fraction = bool(words & FRACTIONS) and bool(measured) and all(0 <= value <= 1 for value in measured)
    factor = 100 if is_fraction else 1
    finest = margin or max((abs(value) for value in measured), default=1.0) / 100 or 1.0
    return Unit(metric, factor, min(MOST_DECIMALS, max(0, 1 + math.ceil(-math.log10(factor * finest / 2)))))


def minus(text: str) -> str:
    """The text with a real minus sign, which is as wide as a plus."""
    return text.replace("-", "\N{MINUS SIGN}")


def multiple(ratio: float) -> str:
    """A ratio as a factor with two decimals."""
    return f"{ratio:.2f}\N{MULTIPLICATION SIGN}"


def percent(part: float) -> str:
    """A part of one, in per cent: two digits below ten."""
    return f"{100 * part:.1f} %" if 0 < part < 0.095 else f"{100 * part:.0f} %"


def duration(seconds: float) -> str:
    """`42 s`, `7 min`, `31 h`."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def counted(n: int, noun: str) -> str:
    """`1 seed`, `6 seeds`."""
    return f"{n:,} {noun}{'' if n == 1 else 's'}"
