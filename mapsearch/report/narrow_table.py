"""Tables on narrow terminals: cells fold between words, and no word or number is cut in two."""

from collections.abc import Sequence

from rich.cells import cell_len
from rich.console import Console
from rich.table import Column, Table


def fit(table: Table, width: int) -> None:
    """Set the columns' widths where the table is wider than the terminal: each holds its longest word at least.

    Where not even the words have room, columns fold as rich has it.

    Args:
        width: columns of the terminal.
    """
    if Console(width=10**4).measure(table).maximum <= width:
        return
    widths = [_widths(column) for column in table.columns]
    lacking = sorted(line - word for word, line in widths)
    for padding, least in ((1, sum(lacking[:-1])), (0, 0)):  # padded where then but one column folds
        lines = (2 * padding + 1) * len(widths) + 1  # with the padding beside each
        spare = width - lines - sum(word for word, _ in widths)
        if spare >= least:
            table.padding = (0, padding)
            _spread(spare, table.columns, widths)
            return


def _spread(spare: int, columns: Sequence[Column], widths: Sequence[tuple[int, int]]) -> None:
    """Give each column its longest word, and what is spare to those that lack least for their longest line."""
    for column, (word, line) in sorted(zip(columns, widths, strict=True), key=lambda x: x[1][1] - x[1][0]):
        more = min(spare, line - word)
        column.width, spare = word + more, spare - more


def _widths(column: Column) -> tuple[int, int]:
    """Of the longest word and of the longest line in a column."""
    lines = [line for cell in (column.header, *column.cells) for line in str(cell).splitlines()]
    words = [word for line in lines for word in line.split()]
    return max(map(cell_len, words), default=0), max(map(cell_len, lines), default=0)
