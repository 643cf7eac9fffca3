"""A new study's folder: the commented study.yaml and task.py of a template, ready to run and to be changed."""

from importlib.resources import files
from pathlib import Path

from mapsearch.core.errors import SpecError

FILES = ("study.yaml", "task.py")


def copy_template(template: str, folder: Path) -> list[Path]:
    """Write a template's files into a folder, which is made if need be.

    Args:
        template: `vision` or `text`.

    Raises:
        SpecError: one of the files is already there, or the folder cannot be written.
    """
    targets = [folder / name for name in FILES]
    there = [str(path) for path in targets if path.exists()]
    if there:
        raise SpecError(f"{', '.join(there)} already there; choose another folder or delete the old study")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path in targets:
            path.write_text((files("mapsearch") / "templates" / template / path.name).read_text(encoding="utf-8"))
    except OSError as error:
        raise SpecError(f"{folder}: cannot be written: {error.strerror}; choose another folder") from None
    return targets
