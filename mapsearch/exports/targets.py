"""The table of export targets, and the writing of a file."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from mapsearch.core.errors import ExportError, did_you_mean
from mapsearch.core.space import RecipeSpace
from mapsearch.exports import mapsearch_yaml, torch_module
from mapsearch.exports.attached import AttachedLoss
from mapsearch.exports.source import ExportSource


@dataclass(frozen=True)
class Target:
    """One kind of file.

    `render` gives its text. `load` reads a written file back and attaches its loss to a student and a
    teacher; what is wrong with the file may come out as any exception, which `verify` words.
    """

    render: Callable[[ExportSource], str]
    load: Callable[[Path, RecipeSpace, nn.Module, nn.Module], AttachedLoss]


TARGETS = {
    "mapsearch": Target(mapsearch_yaml.render, mapsearch_yaml.load),
    "torch": Target(torch_module.render, torch_module.load),
}


def target_named(name: str) -> Target:
    """The target of that name.

    Raises:
        ExportError: there is none.
    """
    if name not in TARGETS:
        raise ExportError(f"unknown target `{name}`{did_you_mean(name, list(TARGETS))}; known: {', '.join(TARGETS)}")
    return TARGETS[name]


def write(target: str, source: ExportSource, path: Path) -> None:
    """Write the export to a new file.

    Raises:
        ExportError: the target is unknown, or the file exists or cannot be written.
    """
    text = target_named(target).render(source)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise ExportError(f"{path} exists; choose another -o or delete it") from None
    except OSError as error:
        raise ExportError(f"{path} cannot be written: {error.strerror}; choose another -o") from None
