"""What commands print: tables, lines and JSON on stdout, everything that is not the result on stderr."""

import os
import shlex
import sys
from collections.abc import Sequence
from textwrap import fill
from typing import Any

import click

from mapsearch.core.studies import DEFAULT_STORAGE
from mapsearch.core.text import printable, printable_json

PIPED_WIDTH = 160
"""Columns of a table that is not shown on a terminal."""


def print_line(text: str, err: bool = False) -> None:
    """One line on stdout, or on stderr."""
    click.echo(printable(text), err=err)


def print_text(text: str) -> None:
    """A sentence on stdout; on a terminal its lines end between words."""
    shown = printable(text)
    if sys.stdout.isatty():
        shown = fill(shown, table_width(), break_long_words=False, break_on_hyphens=False)
    click.echo(shown)


def table_width() -> int:
    """Columns that a table may have: those of the terminal."""
    from rich.console import Console

    console = Console()
    piped = not console.is_terminal and "COLUMNS" not in os.environ
    return PIPED_WIDTH if piped else console.width


def print_table(table: Any) -> None:
    """A rich table, as wide as the terminal."""
    from rich.console import Console
    from rich.table import Table

    from mapsearch.report.narrow_table import fit

    if isinstance(table, Table):
        fit(table, table_width())
    Console(width=table_width()).print(table)


def print_json(data: Any) -> None:
    """Plain data as JSON."""
    click.echo(printable_json(data))


def print_next(commands: Sequence[str], storage: str = DEFAULT_STORAGE) -> None:
    """Commands to type next, as they may be pasted; a server's URL is not repeated: it may hold a password."""
    place = ""
    if storage not in (DEFAULT_STORAGE, os.environ.get("MAPSEARCH_STORAGE")):
        is_file = storage.startswith("sqlite:")
        place = f" --storage {shlex.quote(storage)}" if is_file else "   (with the same --storage)"
    for command in commands:
        print_line(f"next: {command}{place}", err=True)
