"""Target: one kind of file, what it can express, and how it is written."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from mapsearch.exports.capability import Capability, Unsupported
from mapsearch.exports.source import ExportSource

Render = Callable[[ExportSource, Path, str], dict[Path, str]]


def nothing_more(source: ExportSource) -> tuple[Unsupported, ...]:
    """What a target cannot express beyond what its capability says: as a rule nothing."""
    return ()


@dataclass(frozen=True)
class Target:
    """One kind of file.

    `about` is a line for lists. `render` gives the text of the main file, at the path it is given, and of what
    it needs beside it, from a source restricted to the capability and the chosen schema. `unsupported` knows what
    the capability cannot say, such as a layer without an index. `requires` are the modules that running a file
    imports, and `install` how they are installed. `schemas` are versions of the format, the default first.
    """

    about: str
    capability: Capability
    render: Render
    unsupported: Callable[[ExportSource], tuple[Unsupported, ...]] = nothing_more
    requires: tuple[str, ...] = ()
    install: str = ""
    schemas: tuple[str, ...] = ()

    @property
    def missing(self) -> tuple[str, ...]:
        """Those of the required modules that are not installed here."""
        return tuple(name for name in self.requires if find_spec(name.partition(".")[0]) is None)


def one_file(text: Callable[[ExportSource], str]) -> Render:
    """The `render` of a target that needs nothing beside the main file and has one schema."""
    return lambda source, path, schema: {path: text(source)}
