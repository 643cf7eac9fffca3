"""What happens, also told to the trackers that a command was given."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click


def logged(updates: Iterator[Any], name: str, log_to: Sequence[Any], log_dir: Path | None) -> Iterator[Any]:
    """The updates, each logged before it is passed on where trackers are named; `name` is that of the run there.

    Raises:
        ClickException: a folder is given without a tracker.
    """
    if log_dir and not log_to:
        raise click.ClickException("--log-dir goes with --log-to")
    return _logged(updates, name, log_to, log_dir) if log_to else updates


def _logged(updates: Iterator[Any], name: str, log_to: Sequence[Any], log_dir: Path | None) -> Iterator[Any]:
    from mapsearch.loggers.table import open_logger

    with ExitStack() as stack:
        logs = [stack.enter_context(open_logger(tracker, name, log_dir)) for tracker in dict.fromkeys(log_to)]
        for update in updates:
            for log in logs:
                log(update)
            yield update
