"""Text from outside, made fit to be shown to a person: nothing in it can steer a terminal, hide or change places."""

import json
import re
from typing import Any

MAX_SHOWN = 100
"""Characters of a wrong value that a message repeats."""


_NOT_STORABLE = re.compile("[\0\ud800-\udfff]")

LAID_OUT_LEVELS = 2
"""Levels of JSON that have a line for each of their items."""


def printable(text: str) -> str:
    r"""The text on one line, with every character that is not seen as itself written out.

    A newline becomes `\n`, an escape character `\x1b`, a right-to-left override `\u202e`. Letters of all
    scripts, accents and symbols stay; printing twice changes nothing more.
    """
    return "".join(letter if letter.isprintable() else _escape(letter) for letter in text)


def storable(text: str) -> str:
    r"""The text as any database and any file takes it: NUL becomes `\x00`, half of a surrogate pair `\ud800`."""
    return _NOT_STORABLE.sub(lambda found: _escape(found[0]), text)


def error_text(error: BaseException) -> str:
    """The type of an error, and on the same line what it says if it says something."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def shortened(value: Any) -> str:
    """A wrong value as a message repeats it: of something long only the beginning."""
    text = repr(value)
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}..."


def printable_json(data: Any) -> str:
    r"""JSON for people and machines: invisible characters are `\u....`, so that reading it gives equal data.

    What lies deeper than `LAID_OUT_LEVELS` is on one line, such as a trial of many.

    Raises:
        ValueError: a number is not finite.
    """
    lines = _laid_out(data).split("\n")
    return "\n".join(line if line.isprintable() else _printable(line) for line in lines)


def _laid_out(data: Any, level: int = 0) -> str:
    if level == LAID_OUT_LEVELS or not data or not isinstance(data, (dict, list, tuple)):
        # without `indent`, which would be written in Python rather than C: ten times slower for a large study
        return json.dumps(data, ensure_ascii=False, allow_nan=False)
    deeper = level + 1
    if isinstance(data, dict):
        parts = [f"{json.dumps(str(key), ensure_ascii=False)}: {_laid_out(x, deeper)}" for key, x in data.items()]
    else:
        parts = [_laid_out(item, deeper) for item in data]
    first, last = "{}" if isinstance(data, dict) else "[]"
    inner = ",\n".join("  " * deeper + part for part in parts)
    return f"{first}\n{inner}\n{'  ' * level}{last}"


def _printable(line: str) -> str:
    return "".join(x if x.isprintable() else json.dumps(x)[1:-1] for x in line)


def _escape(letter: str) -> str:
    return letter.encode("unicode_escape").decode("ascii")
