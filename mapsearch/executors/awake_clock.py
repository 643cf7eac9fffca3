"""Time as a process lives it: what passes while it is stopped does not count."""

import time
from dataclasses import dataclass, field

LONGEST_STEP_SECONDS = 5.0
"""What may pass between two looks at the clock; of more, the rest was slept (Ctrl-Z, SIGSTOP), or went by while
nobody listened (a database that is away)."""


@dataclass
class AwakeClock:
    """Seconds since it was made in which this process was awake, for whoever looks at it again and again.

    Who judges others by their silence must not count what they did not hear in their own sleep.
    """

    _seconds: float = 0.0
    _looked_at: float = field(default_factory=lambda: time.monotonic())

    def __call__(self) -> float:
        """The seconds so far."""
        now = time.monotonic()
        self._seconds += min(now - self._looked_at, LONGEST_STEP_SECONDS)
        self._looked_at = now
        return self._seconds
