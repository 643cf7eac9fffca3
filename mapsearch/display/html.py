"""Tables and lines as HTML that a notebook shows in its own style; all text is escaped."""

from collections.abc import Iterable, Sequence
from html import escape

from mapsearch.display.colours import VIRIDIS

FEWEST_LIGHT = 140
"""Of the green of a colour, from which on black is read better on it than white."""


def table(head: Sequence[str], rows: Iterable[Sequence[str]], caption: str = "") -> str:
    """A table; a cell that is a number stands right."""
    above = f"<caption style='text-align:left'>{escape(caption)}</caption>" if caption else ""
    names = "".join(f"<th>{escape(name)}</th>" for name in head)
    lines = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    return f"<table>{above}<thead><tr>{names}</tr></thead><tbody>{lines}</tbody></table>"


def matrix(values: Sequence[Sequence[float]], rows: Sequence[str], columns: Sequence[str], caption: str) -> str:
    """A matrix with values from 0 to 1, each in its colour; the scale is the same for every matrix."""
    names = "".join(f"<th>{escape(name)}</th>" for name in columns)
    lines = (
        f"<tr><th>{escape(name)}</th>{''.join(map(_coloured, row))}</tr>"
        for name, row in zip(rows, values, strict=True)
    )
    above = f"<caption style='text-align:left'>{escape(caption)}</caption>"
    return f"<table>{above}<thead><tr><th></th>{names}</tr></thead><tbody>{''.join(lines)}</tbody></table>"


def line(text: str) -> str:
    """A sentence of its own."""
    return f"<p>{escape(text)}</p>"


def _cell(text: str) -> str:
    side = "right" if text[:1] in tuple("+-0123456789") else "left"
    return f"<td style='text-align:{side}'>{escape(text)}</td>"


def _coloured(value: float) -> str:
    red, green, blue = VIRIDIS[round(min(1.0, max(0.0, value)) * (len(VIRIDIS) - 1))]
    ink = "black" if green > FEWEST_LIGHT else "white"
    return f"<td style='background:rgb({red},{green},{blue});color:{ink}'>{value:.2f}</td>"
