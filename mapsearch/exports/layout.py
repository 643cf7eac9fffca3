"""Values and text of exported Python files, laid out as formatters do it."""

from textwrap import fill


def literal(value: object) -> str:
    """`repr` with double quotes, as formatters write it."""
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
        used: what else stands in the line the value begins in.
    """
    line = literal(value)
    if indent + used + len(line) < 120 or not isinstance(value, (dict, list, tuple)):
        return line
    pad, items = " " * (indent + 4), []
    for item in value.items() if isinstance(value, dict) else value:
        key = f"{literal(item[0])}: " if isinstance(value, dict) else ""
        items.append(f"{pad}{key}{laid_out(item[1] if key else item, indent + 4, len(key))},\n")
    return f"{line[0]}\n{''.join(items)}{' ' * indent}{line[-1]}"


def docstring_line(line: str) -> str:
    """The line wrapped, and unable to end the docstring it stands in."""
    safe = " ".join(line.split()).replace("\\", "\\\\").replace('"""', "'''")
    return fill(safe, 115, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False)
