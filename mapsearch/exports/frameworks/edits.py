"""Lines of a written file that an export of its trial would write otherwise."""

from difflib import SequenceMatcher
from pathlib import Path

from mapsearch.exports.render.text_layout import one_line

SHOWN, LENGTH = 3, 100
"""How many places are told, and how much of each."""


def edited_lines(written: dict[Path, str]) -> tuple[str, ...]:
    """What stands in the files and what an export writes in its place, comments and docstrings of modules apart.

    Args:
        written: what an export writes, by file.
    """
    found = []
    for path, text in written.items():
        wanted, given = _code(text), _code(path.read_text(encoding="utf-8")) if path.exists() else []
        for kind, i, j, k, n in SequenceMatcher(None, wanted, given, autojunk=False).get_opcodes():
            if kind != "equal":
                found.append(f"{path.name} has {_told(given[k:n])} where an export has {_told(wanted[i:j])}")
    more = [f"{len(found) - SHOWN} more places differ"] if len(found) > SHOWN else []
    return (*found[:SHOWN], *more)


def _code(text: str) -> list[str]:
    """The lines that do something, without their layout and comments."""
    _, _, after = text.partition('"""\n\n')  # the end of the docstring of a Python file
    lines = (one_line(line.partition("  # ")[0]) for line in (after or text).splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def _told(lines: list[str]) -> str:
    text = " ".join(lines)
    return f"`{text if len(text) <= LENGTH else f'{text[:LENGTH]}...'}`" if lines else "nothing"
