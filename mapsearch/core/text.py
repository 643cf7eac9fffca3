"""Text from outside, made fit to be shown to a person: nothing in it can steer a terminal, hide or change places."""

import json
from typing import Any

MAX_SHOWN = 100
"""Characters of a wrong value that a message repeats."""


def printable(text: str) -> str:
    r"""The text on one line, with every character that is not seen as itself written out.

    A newline becomes `\n`, an escape character `\x1b`, a right-to-left override `\u202e`. Letters of all
    scripts, accents and symbols stay; printing twice changes nothing more.
    """
    return "".join(letter if letter.isprintable() else _escape(letter) for letter in text)


def shortened(value: Any) -> str:
    """A wrong value as a message repeats it: of something long only the beginning."""
    text = repr(value)
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}..."


def printable_json(data: Any) -> str:
    r"""JSON for people and machines: invisible characters are `\u....`, so that reading it gives equal data.

    Raises:
        ValueError: a number is not finite.
    """
    lines = json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False).split("\n")
    return "\n".join(line if line.isprintable() else _printable(line) for line in lines)


def _printable(line: str) -> str:
    return "".join(x if x.isprintable() else json.dumps(x)[1:-1] for x in line)


def _escape(letter: str) -> str:
    return letter.encode("unicode_escape").decode("ascii")
