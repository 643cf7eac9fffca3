"""Values and text of exported files, laid out as formatters do it, with nothing in them that could be misread."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from textwrap import fill
from typing import Any

import yaml

from mapsearch.core.text import printable


@dataclass(frozen=True)
class Call:
    """A call with keyword arguments, in a written Python file."""

    name: str
    arguments: dict[str, Any]


class Name(str):
    """What a name stands for in a written Python file, not the text itself."""


def rounded(value: float) -> float:
    """The number to eight digits: more than a trainer in float32 can tell."""
    return float(f"{value:.8g}")


def literal(value: object) -> str:
    """`repr` with double quotes, as formatters write it; what cannot be printed is escaped."""
    if isinstance(value, (dict, list, tuple, Call)):
        opening, items, closing = _parts(value)
        comma = "," * (isinstance(value, tuple) and len(value) == 1)
        return f"{opening}{', '.join(key + literal(item) for key, item in items)}{comma}{closing}"
    text = repr(value) if not isinstance(value, Name) else str(value)
    return f'"{text[1:-1]}"' if isinstance(value, str) and text[0] == "'" and '"' not in text else text


def laid_out(value: object, indent: int, used: int = 0) -> str:
    """`literal` as formatters lay it out in lines of 120: an item a line where it is too long for one.

    Args:
        indent: of the line the value ends in.
        used: what else is in the line the value begins in.
    """
    line = literal(value)
    if indent + used + len(line) < 120 or not isinstance(value, (dict, list, tuple, Call)):
        return line
    opening, items, closing = _parts(value)
    pad = " " * (indent + 4)
    lines = [f"{pad}{key}{laid_out(item, indent + 4, len(key))},\n" for key, item in items]
    return f"{opening}\n{''.join(lines)}{' ' * indent}{closing}"


def _parts(value: dict[Any, Any] | list[Any] | tuple[Any, ...] | Call) -> tuple[str, list[tuple[str, Any]], str]:
    """How a value opens, its items with what stands before each, and how it closes."""
    if isinstance(value, dict):
        return "{", [(f"{literal(key)}: ", item) for key, item in value.items()], "}"
    if isinstance(value, Call):
        return f"{value.name}(", [(f"{key}=", item) for key, item in value.arguments.items()], ")"
    brackets = "[]" if isinstance(value, list) else "()"
    return brackets[0], [("", item) for item in value], brackets[1]


def one_line(text: str) -> str:
    r"""The text in one line, with whatever cannot be printed as an escape, such as `\x1b` or `\u202e`."""
    return printable(" ".join(text.split()))


def docstring_line(line: str) -> str:
    """The line wrapped, and unable to end or change the docstring it is part of."""
    safe = one_line(line).replace("\\", "\\\\").replace('"""', "'''")
    return fill(safe, 115, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False)


def comments(lines: Iterable[str]) -> str:
    """Comments of YAML or Python, a line each."""
    return "".join(f"# {one_line(line)}\n" for line in lines)


def dumped_yaml(data: dict[str, Any], **options: Any) -> str:
    """The data as YAML in the order given.

    Strings that YAML would take for anything else are quoted; accents stay readable, what cannot be printed is escaped.
    """
    options = {"sort_keys": False, "width": 120, **options}
    text: str = yaml.safe_dump(data, allow_unicode=True, **options)
    if text.replace("\n", "").isprintable():
        return text
    escaped: str = yaml.safe_dump(data, allow_unicode=False, **options)
    return escaped


def module_name(path: Path) -> str:
    """The stem of a file as a name that can be imported."""
    name = re.sub(r"\W", "_", path.stem)
    return name if name.isidentifier() else f"_{name}"  # it begins with a digit
