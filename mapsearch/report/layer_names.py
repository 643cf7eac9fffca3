"""Short layer names: the part that all of them share is left out."""

import re
from collections.abc import Sequence
from itertools import takewhile

from mapsearch.core.text import printable

_PIECE = re.compile(r"\d+|[^\d.]+|\.")  # a number or a word is never cut in two


def shorten(names: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """A pattern with a `*`, and what replaces the `*` in each name; the pattern is `*` when they share nothing.

    Control characters in names are written out, so that all of it can be shown.

    Example:
        shorten(["encoder.layer.0.output", "encoder.layer.1.output"])
        # ("encoder.layer.*.output", ("0", "1"))
    """
    names = [printable(name) for name in names]
    pieces = [_PIECE.findall(name) for name in names]
    if len(set(names)) < 2:
        return "*", tuple(names)
    room = min(map(len, pieces)) - 1  # every name keeps at least one piece
    head = min(room, _n_shared(pieces))
    tail = min(room - head, _n_shared([name[::-1] for name in pieces]))
    labels = tuple("".join(name[head : len(name) - tail]) for name in pieces)
    first = pieces[0]
    return f"{''.join(first[:head])}*{''.join(first[len(first) - tail :])}", labels


def _n_shared(pieces: list[list[str]]) -> int:
    return sum(1 for _ in takewhile(lambda same: len(set(same)) == 1, zip(*pieces, strict=False)))
