"""A database that is away: the study waits for it, its students go on, and what they find is kept on disk meanwhile.

Once it is back, what was kept is written and the steps are taken anew from what the database holds, as after a
restart; the workers are still there.
"""

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from mapsearch.controller.context import Update
from mapsearch.core.errors import DatabaseAway, DatabaseFailed
from mapsearch.core.events import Event, Message, Progress
from mapsearch.core.patience import next_wait
from mapsearch.store.handle import StudyHandle
from mapsearch.store.spool import Spool

Answer = TypeVar("Answer")
Steps = Callable[[], Generator[Update, None, Answer]]
Collect = Callable[[], Sequence[Event]]
"""Has the workers go on, and keeps what cannot be written; gives what happened."""

PAUSE_SECONDS = 0.2
"""Between two looks at workers that have nothing to do."""


@dataclass(frozen=True)
class Outages:
    """How a study lives through times in which its database is away.

    Args:
        patience: the seconds after which it stops.
    """

    study: StudyHandle
    spool: Spool
    patience: float
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep

    def write_kept(self) -> Iterator[Message]:
        """Write what an earlier process could not."""
        if self.spool.records:
            since = f"the study database was away when the study last ran; {self.spool.path}"
            yield Message("database", self._write(since))

    def outlast(self, steps: Steps[Answer], collect: Collect = tuple) -> Generator[Update, None, Answer]:
        """Take the steps, and anew whenever the database was away in between.

        Raises:
            DatabaseFailed: it was away for too long, or will not come back by itself.
        """
        while True:
            try:
                return (yield from steps())
            except DatabaseAway as error:
                failure = error
            except DatabaseFailed as error:
                raise type(error)(*error.problems, *self._kept()) from error
            yield from self._wait(failure, collect)

    def _wait(self, failure: DatabaseAway, collect: Collect) -> Iterator[Update]:
        began, n_tries = self.clock(), 0
        yield Message(
            "database",
            f"{failure.what}; the study waits for it, {self.patience:g} s at most (`execution.database_seconds`); "
            f"students in training go on, and what they find is kept {self.spool.place}",
        )
        while (seconds := next_wait(n_tries, self.clock() - began, self.patience)) is not None:
            yield from self._go_on(self.clock() + seconds, collect)
            n_tries += 1
            try:
                text = self._write(f"the study database was away for {self.clock() - began:.0f} s ({failure.what})")
            except DatabaseAway as error:
                failure = error
            else:
                yield Message("database", text)
                return
        waited = f"the study waited {self.clock() - began:.0f} s for it (`execution.database_seconds`)"
        raise DatabaseAway(f"{failure.what}; {waited}{DatabaseAway.WAY_OUT}", *self._kept())

    def _go_on(self, until: float, collect: Collect) -> Iterator[Update]:
        while self.clock() < until:
            events = collect()
            yield from (event for event in events if isinstance(event, (Message, Progress)))
            if not events:
                self.sleep(min(PAUSE_SECONDS, max(0.0, until - self.clock())))

    def _write(self, since: str) -> str:
        text = self.study.write_kept(self.spool.records, since)
        self.spool.clear()
        return text

    def _kept(self) -> list[str]:
        n = self.spool.n_results
        way_out = "`mapsearch run` of this study writes them before anything else"
        return [f"{n} results that the database did not take are kept {self.spool.place}; {way_out}"] if n else []
