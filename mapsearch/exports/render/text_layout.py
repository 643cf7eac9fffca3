"""Values and text of exported files, laid out as formatters do it, with nothing in them that could be misread."""

import re
from collections.abc import Iterable
from pathlib import Path
from textwrap import fill
from typing import Any

import yaml

from mapsearch.core.text import printable


def literal(value: object) -> str:
    """`repr` with double quotes, as formatters write it; what cannot be printed is escaped."""
    if isinstance(value, dict):
        return f"{{{', '.join(f'{literal(key)}: {literal(item)}' for key, item in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(literal, value))}]"
    if isinstance(value, tuple):
        return f"({', '.join(map(literal, value))}{',' * (len(value) == 1)})"
    text = repr(value)
    return f'"{text[1:-1]}"' if isinstance(value, str) and '"' not in text else text


def laid_out(value: object, indent: int, used: int = 0) -> str:
    """`literal` as formatters lay it out in lines of 120: an item a line where it is too long for one.

    Args:
        indent: of the line the value ends in.
        used: what else is in the line the value begins in.
    """
    line = literal(value)
    if indent + used + len(line) < 120 or not isinstance(value, (dict, list, tuple)):
        return line
    pad, items = " " * (indent + 4), []
    for item in value.items() if isinstance(value, dict) else value:
        key = f"{literal(item[0])}: " if isinstance(value, dict) else ""
        items.append(f"{pad}{key}{laid_out(item[1] if key else item, indent + 4, len(key))},\n")
    return f"{line[0]}\n{''.join(items)}{' ' * indent}{line[-1]}"


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
