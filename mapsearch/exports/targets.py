"""The table of export targets, and the writing of files: refused where something would be lost unsaid."""

from collections.abc import Sequence
from pathlib import Path

from mapsearch.core.errors import ExportError, did_you_mean
from mapsearch.exports import (
    distillkit,
    mapsearch_yaml,
    megatron,
    modelopt,
    torch_module,
    torchdistill,
)
from mapsearch.exports.capability import Lost, TargetName, expressed, lost
from mapsearch.exports.source import ExportSource
from mapsearch.exports.target import Target

TARGETS: dict[TargetName, Target] = {
    "mapsearch": mapsearch_yaml.TARGET,
    "torch": torch_module.TARGET,
    "torchdistill": torchdistill.TARGET,
    "modelopt": modelopt.TARGET,
    "megatron": megatron.TARGET,
    "distillkit": distillkit.TARGET,
}


def target_named(name: str) -> Target:
    """The target of that name.

    Raises:
        ExportError: there is none.
    """
    for known, target in TARGETS.items():
        if known == name:
            return target
    raise ExportError(f"unknown target `{name}`{did_you_mean(name, list(TARGETS))}; known: {', '.join(TARGETS)}")


def write(
    target: str, source: ExportSource, path: Path, *, lossy: bool = False, schema: str | None = None
) -> tuple[tuple[Path, ...], tuple[str, ...]]:
    """Write the export to new files: `path` and what it needs beside it. Returns them, and what was lost.

    Args:
        lossy: write what the target can express where the recipe has more.
        schema: the version of the format, where the target has several; None takes the first.

    Raises:
        ExportError: the target or its schema is unknown, something would be lost, or a file exists or cannot
            be written; then none is.
    """
    chosen = target_named(target)
    schema = _schema(target, chosen.schemas, schema)
    losses = (*lost(source, chosen.capability), *chosen.lost(source))
    _refuse(target, source, losses, lossy)
    made = chosen.files(expressed(source, chosen.capability, losses), path, schema)
    written: list[Path] = []
    try:
        for place, text in made.items():
            with place.open("x", encoding="utf-8") as file:
                written.append(place)
                file.write(text)
    except OSError as error:
        for done in written:
            done.unlink()
        if isinstance(error, FileExistsError):
            raise ExportError(f"{place} exists; choose another -o or delete it") from None
        raise ExportError(f"{place} cannot be written: {error.strerror}; choose another -o") from None
    return tuple(written), tuple(one.sentence for one in losses)


def _schema(target: str, known: Sequence[str], given: str | None) -> str:
    if given is None:
        return known[0] if known else ""
    if not known:
        raise ExportError(f"target `{target}` has one schema, but --schema {given} was given; leave it out")
    if given not in known:
        raise ExportError(
            f"target `{target}` has no schema `{given}`{did_you_mean(given, known)}; known: {', '.join(known)}"
        )
    return given


def _refuse(target: str, source: ExportSource, losses: Sequence[Lost], lossy: bool) -> None:
    """Raise what must not be lost."""
    fatal = [
        f"target `{target}` cannot express trial {source.trial}: {one.sentence}; export it to `torch` or "
        "`mapsearch`, or choose another with --trial"
        for one in losses
        if one.fatal
    ]
    if not lossy:
        fatal += [
            f"target `{target}` loses something of trial {source.trial}: {one.sentence}; --lossy writes it all the same"
            for one in losses
            if not one.fatal
        ]
    if fatal:
        raise ExportError(*fatal)
