"""Target: one kind of file, what it cannot express, and how it is written."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path

from mapsearch.exports.limits import CHANGES_WEIGHTS, Limit
from mapsearch.exports.source import ExportSource

Render = Callable[[ExportSource, Path], dict[Path, str]]


@dataclass(frozen=True)
class Target:
    """One kind of file.

    `about` is a line for lists. `render` gives the text of the main file, at the path it is given, and of what
    it needs beside it, from a source as `expressible` gives it. `requires` are the modules that running a file
    imports, each with what is installed for it, in the version that was tested. `suffixes` are what the name of the
    main file may end in.
    """

    about: str
    render: Render
    limits: tuple[Limit, ...] = ()
    requires: Mapping[str, str] = field(default_factory=dict)
    suffixes: tuple[str, ...] = (".py",)

    def left_out(self, source: ExportSource, *, fatal: bool) -> tuple[str, ...]:
        """What of the trial the target cannot express, in sentences.

        Args:
            fatal: what forbids the export, or else what `--lossy` leaves out.
        """
        said = (limit.sentence(source) for limit in self.limits if limit.fatal is fatal)
        return tuple(sentence for sentence in said if sentence)

    def expressible(self, source: ExportSource) -> ExportSource:
        """The trial as the target can express it, with a note of what is left out; unchanged if nothing is."""
        recipe = replace(source.recipe, balance="frozen") if CHANGES_WEIGHTS in self.limits else source.recipe
        return replace(source, recipe=recipe, unsupported=self.left_out(source, fatal=False))

    @property
    def install(self) -> str:
        """How all that it requires is installed."""
        return f"pip install {' '.join(self.requires.values())}"

    @property
    def missing(self) -> tuple[str, ...]:
        """Those of the required modules that are not installed here."""
        return tuple(name for name in self.requires if find_spec(name) is None)
