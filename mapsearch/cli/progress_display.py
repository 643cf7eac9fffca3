"""Progress of a running study on stderr: a line for what is done, one live display for what is under way.

Without a terminal there is a line at every stage and one a minute.
"""

import time
from collections.abc import Callable, Iterator

from rich.console import Console, Group
from rich.live import Live
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.text import Text

from mapsearch.core.events import Message, Progress, Standing
from mapsearch.core.text import printable
from mapsearch.core.trials import Trial
from mapsearch.core.verdict import Verdict
from mapsearch.report.standing import STAGES, stage_text, standing_text

Clock = Callable[[], float]

PIPED_SECONDS = 60.0
"""Seconds between two lines about progress where there is no terminal."""

LEAST_RUNS = 3
"""Runs that must have ended before their pace tells the time left."""

BAR_WIDTH = 40


def show_updates(
    updates: Iterator[Message | Progress | Standing | Trial | Verdict], clock: Clock = time.monotonic
) -> Verdict | None:
    """Print the updates until the end; returns the verdict, if there was one."""
    console = Console(stderr=True, highlight=False)
    verdict = None
    with _Display(console, clock) as display:
        for item in updates:
            if isinstance(item, Verdict):
                verdict = item
            else:
                display.show(item)
    return verdict


class _Display:
    """What is known of the study under way, as it is shown."""

    def __init__(self, console: Console, clock: Clock) -> None:
        self._console, self._clock = console, clock
        self._stage, self._step = "", ""
        self._standing: Standing | None = None
        self._first: tuple[Standing, float] | None = None
        self._last_line = clock()
        self._live = Live(console=console, transient=True, refresh_per_second=4) if _can_redraw(console) else None

    def __enter__(self) -> "_Display":
        if self._live is not None:
            self._live.start()
            self._live.update(Text("starting"))
        return self

    def __exit__(self, *error: object) -> None:
        if self._live is not None:
            self._live.stop()

    def show(self, item: Message | Progress | Standing | Trial) -> None:
        """Take in what has happened: print it if it is done, and renew what is under way."""
        if isinstance(item, Progress):
            trial, _, seed = item.key
            self._step = f"trial {trial}, seed {seed}: step {item.step}/{item.n_steps}"
        elif isinstance(item, Message):
            self._stage = item.stage if item.stage in STAGES else self._stage
            self._line(item.stage, printable(item.text))
        elif isinstance(item, Standing):
            self._take(item)
        elif item.proposer == "control":
            value = f"{item.value:.4f}" if item.value is not None else item.state
            self._line(
                self._stage, f"{item.control:<10} {value:>10}  trial {item.number}, {printable(str(item.recipe))}"
            )
        if self._live is not None:
            self._live.update(self._view())
        elif self._standing is not None and self._clock() - self._last_line >= PIPED_SECONDS:
            self._line(self._stage, standing_text(self._standing, self._seconds_left()))

    def _take(self, standing: Standing) -> None:
        before = self._standing.best if self._standing else None
        best = standing.best
        self._standing = standing
        self._first = self._first or (standing, self._clock())
        if best is not None and best.proposer != "control" and (before is None or best.number != before.number):
            text = f"best so far {best.value:.4f}  trial {best.number}, {printable(str(best.recipe))}"
            self._line(self._stage, text)

    def _seconds_left(self) -> float | None:
        """At the pace since this process began; None before a few runs have ended."""
        if self._standing is None or self._first is None:
            return None
        first, began = self._first
        done, passed = self._standing.spent - first.spent, self._clock() - began
        if self._standing.n_done - first.n_done < LEAST_RUNS or done <= 0:
            return None
        return (self._standing.planned - self._standing.spent) * passed / done

    def _view(self) -> Group:
        lines: list[Text | Padding] = []
        if self._stage:
            lines.append(Text.assemble((self._stage, "bold"), "  ", stage_text(self._stage)))
        if self._standing is not None:
            width = min(BAR_WIDTH, self._console.width)
            bar = ProgressBar(self._standing.planned, self._standing.spent, width=width)
            lines.append(Padding(bar, 0))  # a bar alone does not end its line
            lines.append(Text(standing_text(self._standing, self._seconds_left())))
        return Group(*lines, Text(self._step or "starting", style="dim"))

    def _line(self, stage: str, text: str) -> None:
        self._last_line = self._clock()
        line = Text.assemble((f"{stage:>9}", "bold"), f"  {text}")
        self._console.print(line, soft_wrap=not self._console.is_terminal)  # what is read by a program stays whole


def _can_redraw(console: Console) -> bool:
    return console.is_terminal and not console.is_dumb_terminal
