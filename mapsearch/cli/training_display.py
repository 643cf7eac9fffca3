"""Progress of a final training on stderr: a line for what is done, one live line with the time left."""

import time
from collections.abc import Callable, Iterator
from typing import Any

from rich.console import Console
from rich.text import Text

from mapsearch.core.events import Message, Progress
from mapsearch.core.text import printable
from mapsearch.core.trained import TrainReport, Validation


def show_training(
    updates: Iterator[Any], clock: Callable[[], float] = time.monotonic, *, quiet: bool = False
) -> TrainReport:
    """Print the updates until the end; the report that comes last."""
    console = Console(stderr=True, highlight=False, quiet=quiet)
    first: tuple[int, float] | None = None
    last: Any = None
    with console.status("starting") as status:
        for last in updates:
            if isinstance(last, Progress):
                first = first or (last.step, clock())
                status.update(progress_text(last, seconds_left(last, first, clock())))
            elif isinstance(last, Message):
                _print(console, last.stage, last.text)
            elif isinstance(last, Validation):
                values = ", ".join(f"{name} {value:.4g}" for name, value in last.metrics.items() if value is not None)
                _print(console, "valid", f"step {last.step}: {values}")
    assert isinstance(last, TrainReport)
    return last


def progress_text(progress: Progress, seconds: float | None) -> str:
    """`step 120/300, loss 1.23, 0:01:40 left`."""
    left = "" if seconds is None else f", {_clock_time(seconds)} left"
    return f"step {progress.step}/{progress.n_steps}, loss {progress.loss:.4g}{left}"


def seconds_left(progress: Progress, first: tuple[int, float], now: float) -> float | None:
    """At the pace since the first (step, time) that was seen; None before any pace is known."""
    done, passed = progress.step - first[0], now - first[1]
    return (progress.n_steps - progress.step) * passed / done if done > 0 else None


def _clock_time(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"


def _print(console: Console, stage: str, text: str) -> None:
    line = Text.assemble((f"{stage:>9}", "bold"), f"  {printable(text)}")
    console.print(line, soft_wrap=not console.is_terminal)
