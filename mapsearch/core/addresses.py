"""Names of layers: a module's path, one call of a module that runs several times, one entry of what it outputs.

And how the batch lies in it, where that is not its first axis.
"""

import re
from fnmatch import fnmatchcase
from typing import NamedTuple

ADDRESS = re.compile(
    r"(?P<path>.*?)(?:#(?P<call>\d+))?(?:\[(?P<key>[^\[\]]+)\])?(?:@(?P<layout>sequence_first|\d+_per_sample))?",
    re.DOTALL,
)
PATTERN = re.compile(
    r"(?P<path>.*?)(?P<call>#[^#.\[\]]+)?(?P<key>\[[^\[\]]+\])?(?:@(?P<layout>[^.@\[\]]+))?", re.DOTALL
)


class Address(NamedTuple):
    """`path`, `path#call` (counted from 0), `path[key]` or `path#call[key]`; `@layout` where the batch is not first."""

    path: str
    call: int | None = None
    key: str | None = None
    layout: str | None = None

    def __str__(self) -> str:
        """As it is written in study files, recipes and exports."""
        call = "" if self.call is None else f"#{self.call}"
        key = "" if self.key is None else f"[{self.key}]"
        return f"{self.path}{call}{key}" + ("" if self.layout is None else f"@{self.layout}")


def parse_address(name: str) -> "Address":  # quoted: in exported files the class comes later
    """The address that a layer's name stands for; any text is one."""
    match = ADDRESS.fullmatch(name)
    assert match is not None, "every part of the pattern may be empty"
    call = match["call"]
    return Address(match["path"], None if call is None else int(call), match["key"], match["layout"])


def is_address(name: str) -> bool:
    """Whether the name means something else than what a whole module outputs, as it is."""
    return parse_address(name).path != name


def is_part(name: str) -> bool:
    """Whether the name means a call or an entry, not a whole module."""
    address = parse_address(name)
    return address.call is not None or address.key is not None


def matches(name: str, pattern: str) -> bool:
    """Whether a name or glob means the layer; `*` stays within one part of a path, one call or one key.

    A pattern without `#` or `[key]` means whole modules only, and one without `@layout` means every layout.
    """
    return name == pattern or matches_address(name, pattern) or (not is_address(name) and _glob(name, pattern))


def matches_address(name: str, pattern: str) -> bool:
    """Whether the pattern, read as `path#call[key]@layout` with globs in each part, means the layer."""
    parts, wanted = PATTERN.fullmatch(name), PATTERN.fullmatch(pattern)
    assert parts is not None, "every part of the pattern may be empty"
    assert wanted is not None, "every part of the pattern may be empty"
    for part in ("call", "key"):
        value, glob = (match[part] for match in (parts, wanted))
        if value is None or glob is None:
            if value is not glob:
                return False
        elif not fnmatchcase(value.strip("#[]"), glob.strip("#[]")):
            return False
    if wanted["layout"] is not None and not fnmatchcase(parts["layout"] or "", wanted["layout"]):
        return False
    return _glob(parts["path"], wanted["path"])


def _glob(path: str, pattern: str) -> bool:
    parts, wanted = path.split("."), pattern.split(".")
    return len(parts) == len(wanted) and all(map(fnmatchcase, parts, wanted))
