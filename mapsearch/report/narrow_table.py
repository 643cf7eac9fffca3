"""Tables on narrow terminals: cells fold between words, names within at their dots, no word or number is cut in two."""

import re
from collections.abc import Sequence
from itertools import pairwise

from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.table import Column, Table
from rich.text import Text

NAME_JOINT = re.compile(r"(?<=[./])(?=[^\W\d])|(?<=[a-z])(?=[A-Z])")
"""Where a name may be folded: before a letter that follows a dot or slash, and before a capital, but in no number."""


def fit(table: Table, width: int) -> None:
    """Set the columns' widths where the table is wider than the terminal: each holds its longest word at least.

    Where not even the words have room, names are folded between their parts (`vit.layers.0.` and `attention`); where
    these have none, columns fold as rich has it.

    Args:
        width: columns of the terminal.
    """
    if Console(width=10**4).measure(table).maximum <= width:
        return
    if _set_widths(table, width, whole_names=True) or not _set_widths(table, width, whole_names=False):
        return
    columns, rows = table.columns, table.rows
    cells = zip(*(column.cells for column in columns), strict=True)
    table.columns, table.rows = [column.copy() for column in columns], []
    for row, texts in zip(rows, cells, strict=True):
        folded = [_fold_names(text, column.width) for text, column in zip(texts, columns, strict=True)]
        table.add_row(*folded, style=row.style, end_section=row.end_section)


def _set_widths(table: Table, width: int, *, whole_names: bool) -> bool:
    """Set the columns' widths if all words, or all parts of names, have room; false if they have none."""
    widths = [_widths(column, whole_names) for column in table.columns]
    lacking = sorted(line - word for word, line in widths)
    for padding, least in ((1, sum(lacking[:-1])), (0, 0)):  # padded where then but one column folds
        lines = (2 * padding + 1) * len(widths) + 1  # with the padding beside each
        spare = width - lines - sum(word for word, _ in widths)
        if spare >= least:
            table.padding = (0, padding)
            _spread(spare, table.columns, widths)
            return True
    return False


def _spread(spare: int, columns: Sequence[Column], widths: Sequence[tuple[int, int]]) -> None:
    """Give each column its longest word, and what is spare to those that lack least for their longest line."""
    for column, (word, line) in sorted(zip(columns, widths, strict=True), key=lambda x: x[1][1] - x[1][0]):
        more = min(spare, line - word)
        column.width, spare = word + more, spare - more


def _widths(column: Column, whole_names: bool) -> tuple[int, int]:
    """Of the longest word, or part of a name, and of the longest line in a column."""
    lines = [line for cell in (column.header, *column.cells) for line in str(cell).splitlines()]
    words = [word for line in lines for word in line.split()]
    parts = words if whole_names else [part for word in words for part in NAME_JOINT.split(word)]
    return max(map(cell_len, parts), default=0), max(map(cell_len, lines), default=0)


def _fold_names(cell: RenderableType, width: int | None) -> Text:
    """The cell with line ends in names that are wider than its column."""
    cell, ends = cell if isinstance(cell, Text) else Text(str(cell)), list[int]()
    for word in re.finditer(r"\S+", cell.plain):
        start = word.start()
        joints = [word.start() + joint.start() for joint in NAME_JOINT.finditer(word[0])]
        for joint, after in pairwise([*joints, word.end()]):
            if width is not None and cell_len(cell.plain[start:after]) > width:
                ends.append(joint)
                start = joint
    return Text("\n").join(cell.divide(ends))
