"""The only worker is this process: for debugging and tests."""

from collections.abc import Iterator, Sequence

from mapsearch.core.runs import Cohort
from mapsearch.executors.base import Ready, WorkerMessage
from mapsearch.executors.session import Session


class InlineExecutor:
    """Trains in the caller's process: each poll goes on to the session's next message."""

    n_workers = 1

    def __init__(self, session: Session) -> None:
        self._session = session
        self._messages: Iterator[WorkerMessage] = iter(())

    def start(self, slot: int) -> str:
        """The session is there already."""
        self._messages = iter((Ready(),))
        return "inline"

    def send(self, slot: int, cohort: Cohort) -> None:
        """Begin with the cohort at the next poll."""
        self._messages = self._session.train(cohort)

    def poll(self, seconds: float) -> Sequence[tuple[int, WorkerMessage]]:
        """The next message, however long it takes."""
        return [(0, message) for message in (next(self._messages, None),) if message is not None]

    def stop(self, slot: int) -> None:
        """Leave the cohort where it is."""
        self._messages = iter(())

    def close(self) -> None:
        """Leave the cohort where it is."""
        self.stop(0)
