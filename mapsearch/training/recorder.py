"""What records work on a device, to do it again without launching its parts one by one from Python."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

Run = Callable[[], Tensor]


@dataclass
class Sight:
    """What was seen of some work: whether it waited for the device, and drew random numbers there."""

    waited: bool = False
    drew: bool = False


class Recorder(Protocol):
    """What records work on a device, `CudaGraphs` for one."""

    def lane(self, number: int) -> AbstractContextManager[None]:
        """Work within may overlap with that of other lanes."""

    def join(self) -> None:
        """Work from now on comes after that of all lanes."""

    def use_one_lane(self) -> None:
        """Work of no two lanes overlaps from now on."""

    def watched(self) -> AbstractContextManager[Sight]:
        """See what hinders the work within from being recorded."""

    def record(self, number: int, run: Run) -> Run:
        """Record `run` without doing it; each call of what comes back does it once."""

    def recover(self) -> None:
        """Make the device usable after a recording that failed."""

    def close(self) -> None:
        """Give back what recordings hold."""
