"""Files that are whole or not there."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """A path to write to, in the same folder, which takes the place of `path` once all of it is on the disk.

    Raises:
        OSError: the disk is full, or the folder is gone; `path` is as it was.
    """
    unfinished = path.with_name(f".{path.name}.unfinished")
    try:
        unfinished.touch()
        rights = unfinished.stat().st_mode
        yield unfinished
        unfinished.chmod(rights)  # those of any other file: some libraries make theirs unreadable for others
        with unfinished.open("rb") as file:
            os.fsync(file.fileno())
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a whole file or none.

    Raises:
        OSError: the disk is full, or the folder is gone.
    """
    with replaced(path) as unfinished:
        unfinished.write_text(text, encoding="utf-8")
