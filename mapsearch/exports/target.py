"""Target: one kind of file, what it can express, and how it is written and run."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from torch import nn

from mapsearch.core.space import RecipeSpace
from mapsearch.exports.attached import AttachedLoss
from mapsearch.exports.capability import Capability, Lost
from mapsearch.exports.source import ExportSource
from mapsearch.losses.recipe_loss import RecipeLoss

Files = Callable[[ExportSource, Path, str], dict[Path, str]]


def nothing_more(source: ExportSource) -> tuple[Lost, ...]:
    """What a target loses beyond its capability: as a rule nothing."""
    return ()


def as_ours(loss: RecipeLoss) -> None:
    """Leave our projectors as they are: the target has the same."""


@dataclass(frozen=True)
class Target:
    """One kind of file.

    `about` is a line for lists. `files` gives the text of the main file, at the path it is given, and of what
    it needs beside it, from the source as the capability allows it and the chosen schema. `load` reads a
    written file back and attaches its loss to a student and a teacher, run by the framework itself; what is
    wrong with the file may come out as any exception, which `verify` words. `lost` knows what the
    capability cannot say, such as a layer without an index. `adapt` makes our projectors those of the target
    before `verify` compares, where it has fewer or lacks a bias. `requires` are the modules that `load` imports,
    and `install` how they are installed. `schemas` are versions of the format, the default first. `header` is the
    file that says of which trial the main file is, where that cannot.
    """

    about: str
    capability: Capability
    files: Files
    load: Callable[[Path, RecipeSpace, nn.Module, nn.Module], AttachedLoss]
    lost: Callable[[ExportSource], tuple[Lost, ...]] = nothing_more
    adapt: Callable[[RecipeLoss], None] = as_ours
    requires: tuple[str, ...] = ()
    install: str = ""
    schemas: tuple[str, ...] = ()
    header: Callable[[Path], Path] = lambda path: path

    @property
    def missing(self) -> tuple[str, ...]:
        """Those of the required modules that are not installed here."""
        return tuple(name for name in self.requires if find_spec(name.partition(".")[0]) is None)


def one_file(render: Callable[[ExportSource], str]) -> Files:
    """The `files` of a target that needs nothing beside the main file and has one schema."""
    return lambda source, path, schema: {path: render(source)}
