"""The writing of files: refused where the target would silently drop something, or a file is already there."""

from collections.abc import Sequence
from pathlib import Path

from mapsearch.core.errors import ExportError, did_you_mean
from mapsearch.exports.capability import Unsupported, restricted_to, unsupported
from mapsearch.exports.source import ExportSource
from mapsearch.exports.targets import target_named


def write(
    target: str, source: ExportSource, path: Path, *, lossy: bool = False, schema: str | None = None
) -> tuple[tuple[Path, ...], tuple[str, ...]]:
    """Write the export to new files: `path` and what it needs beside it. Returns them, and what is left out.

    Args:
        lossy: write what the target can express, though the recipe has more.
        schema: the version of the format, where the target has several; None takes the first.

    Raises:
        ExportError: the target or its schema is unknown, it cannot express the recipe, or a file exists or cannot
            be written; then none is.
    """
    _, chosen = target_named(target)
    schema = _schema(target, chosen.schemas, schema)
    left_out = (*unsupported(source, chosen.capability), *chosen.unsupported(source))
    _refuse(target, source, left_out, lossy)
    texts = chosen.render(restricted_to(source, chosen.capability, left_out), path, schema)
    _write_new(texts)
    return tuple(texts), tuple(one.sentence for one in left_out)


def _write_new(texts: dict[Path, str]) -> None:
    """Write all of the files or none; one that exists is never touched."""
    written: list[Path] = []
    try:
        for path, text in texts.items():
            with path.open("x", encoding="utf-8") as file:
                written.append(path)
                file.write(text)
    except OSError as error:
        for done in written:
            done.unlink()
        if isinstance(error, FileExistsError):
            raise ExportError(f"{path} already exists; choose another -o, or delete the file") from None
        raise ExportError(f"{path} cannot be written: {error.strerror}; choose another -o") from None


def _schema(target: str, known: Sequence[str], schema: str | None) -> str:
    if schema is None:
        return known[0] if known else ""
    if not known:
        raise ExportError(f"target `{target}` has only one schema, but got --schema {schema}; leave it out")
    if schema not in known:
        raise ExportError(
            f"target `{target}` has no schema `{schema}`{did_you_mean(schema, known)}; known: {', '.join(known)}"
        )
    return schema


def _refuse(target: str, source: ExportSource, left_out: Sequence[Unsupported], lossy: bool) -> None:
    """Raise all that must not be left out."""
    fatal = [one.sentence for one in left_out if one.fatal]
    others = [one.sentence for one in left_out if not one.fatal and not lossy]
    problems = [
        f"target `{target}` cannot express trial {source.trial}: {sentence}; export it to `torch` or `mapsearch`, or "
        "choose another with --trial"
        for sentence in fatal
    ]
    problems += [
        f"target `{target}` cannot express all of trial {source.trial}: {sentence}; --lossy writes it all the same"
        for sentence in others
    ]
    if problems:
        raise ExportError(*problems)
