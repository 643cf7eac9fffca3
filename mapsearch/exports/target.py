"""Target: one kind of file, what it can express, and how it is written."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from mapsearch.exports.capability import Capability, Unsupported
from mapsearch.exports.source import ExportSource

Render = Callable[[ExportSource, Path], dict[Path, str]]


def nothing_more(source: ExportSource) -> tuple[Unsupported, ...]:
    """What a target cannot express beyond what its capability says: as a rule nothing."""
    return ()


@dataclass(frozen=True)
class Target:
    """One kind of file.

    `about` is a line for lists. `render` gives the text of the main file, at the path it is given, and of what
    it needs beside it, from a source restricted to the capability. `unsupported` knows what the capability cannot
    say, such as a layer without an index. `requires` are the modules that running a file imports, each with what is
    installed for it, in the version that was tested. `suffixes` are what the name of the main file may end in.
    """

    about: str
    capability: Capability
    render: Render
    unsupported: Callable[[ExportSource], tuple[Unsupported, ...]] = nothing_more
    requires: Mapping[str, str] = field(default_factory=dict)
    suffixes: tuple[str, ...] = (".py",)

    @property
    def install(self) -> str:
        """How all that it requires is installed."""
        return f"pip install {' '.join(self.requires.values())}"

    @property
    def missing(self) -> tuple[str, ...]:
        """Those of the required modules that are not installed here."""
        return tuple(name for name in self.requires if find_spec(name) is None)


YAML_SUFFIXES = (".yaml", ".yml")
