"""From values to places of a chart, in per cent of its width or height, with round ticks."""

import math
from dataclasses import dataclass

FEW_POWERS = 2
"""Of a logarithmic scale with fewer steps between its powers of ten, 2 and 5 times a power are ticks as well."""

STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True)
class Scale:
    """Values from `low` to `high` at places from `start` to `end` (per cent); `start` may be the larger."""

    low: float
    high: float
    start: float = 0.0
    end: float = 100.0
    logarithmic: bool = False

    def __call__(self, value: float) -> float:
        """The place of a value, in per cent; beyond the ends for values beyond them."""
        low, high, at = (math.log10(x) if self.logarithmic else x for x in (self.low, self.high, value))
        return round(self.start + (self.end - self.start) * (at - low) / ((high - low) or 1.0), 2)

    def ticks(self, most: int = 5) -> list[float]:
        """Round values from `low` to `high`: about so many at most; powers of ten where it is logarithmic."""
        if self.logarithmic:
            lowest, highest = math.ceil(math.log10(self.low) - 1e-9), math.floor(math.log10(self.high) + 1e-9)
            if highest - lowest < FEW_POWERS:
                steps = [m * 10.0**power for power in range(lowest - 1, highest + 1) for m in (1, 2, 5)]
                return [step for step in steps if self.low <= step <= self.high]
            apart = max(1, math.ceil((highest - lowest + 1) / most))
            return [10.0**power for power in range(lowest, highest + 1, apart)]
        rough = (self.high - self.low) / most or 1.0
        size = 10.0 ** math.floor(math.log10(rough))
        step = size * next(s for s in STEPS if s * size >= rough * (1 - 1e-9))
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [round(i * step, 12) for i in range(first, last + 1)]
