"""What commands print: tables, lines and JSON on stdout, everything that is not the result on stderr."""

import os
from typing import Any

import click

from mapsearch.core.studies import DEFAULT_STORAGE
from mapsearch.core.text import printable, printable_json

PIPED_WIDTH = 160
"""Columns of a table that is not shown on a terminal."""


def print_line(text: str, err: bool = False) -> None:
    """One line on stdout, or on stderr."""
    click.echo(printable(text), err=err)


def print_table(table: Any) -> None:
    """A rich table, as wide as the terminal."""
    from rich.console import Console

    console = Console()
    piped = not console.is_terminal and "COLUMNS" not in os.environ
    (Console(width=PIPED_WIDTH) if piped else console).print(table)


def print_json(data: Any) -> None:
    """Plain data as JSON."""
    click.echo(printable_json(data))


def print_next(command: str, storage: str = DEFAULT_STORAGE) -> None:
    """The command to type next; the URL of the storage is not repeated, for it may hold a password."""
    place = "" if storage == DEFAULT_STORAGE else "   (with the same --storage)"
    print_line(f"next: {command}{place}", err=True)
