"""The writing of files: refused where the target would silently drop something, or a file is already there."""

from pathlib import Path

from mapsearch.core.errors import ExportError
from mapsearch.exports.source import ExportSource
from mapsearch.exports.targets import TARGETS, target_named


def write(
    target: str, source: ExportSource, path: Path, *, lossy: bool = False
) -> tuple[tuple[Path, ...], tuple[str, ...]]:
    """Write the export to new files: `path` and what it needs beside it. Returns them, and what is left out.

    Args:
        lossy: write what the target can express, though the recipe has more.

    Raises:
        ExportError: the target is unknown, the path has the suffix of another kind of file, the target
            cannot express the recipe, or a file exists or cannot be written; then none is.
    """
    texts, left_out = texts_of(target, source, path, lossy=lossy)
    _write_new(texts)
    return tuple(texts), left_out


def texts_of(
    target: str, source: ExportSource, path: Path, *, lossy: bool = False
) -> tuple[dict[Path, str], tuple[str, ...]]:
    """What `write` writes, by file, and what is left out; nothing is written.

    Raises:
        ExportError: the target is unknown, the path has the suffix of another kind of file, or the
            target cannot express the recipe.
    """
    chosen = target_named(target)
    if path.suffix not in chosen.suffixes:
        raise ExportError(f"-o for target `{target}` must end in {' or '.join(chosen.suffixes)}, but got {path.name}")
    others = (name for name in ("torch", "mapsearch") if not TARGETS[name].left_out(source, fatal=True))
    ways_out = " or ".join(f"`{name}`" for name in others if name != target)
    problems = [
        f"target `{target}` cannot express trial {source.trial}: {sentence}; export it to {ways_out}, or choose "
        "another with --trial"
        for sentence in chosen.left_out(source, fatal=True)
    ]
    left_out = chosen.left_out(source, fatal=False)
    problems += [
        f"target `{target}` cannot express all of trial {source.trial}: {sentence}; --lossy writes it all the same"
        for sentence in (() if lossy else left_out)
    ]
    if problems:
        raise ExportError(*problems)
    return chosen.render(chosen.expressible(source), path), left_out


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
