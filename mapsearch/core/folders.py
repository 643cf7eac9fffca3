"""Where a study keeps files: beside a SQLite database, else in the working folder."""

from pathlib import Path


def beside(storage: str) -> Path:
    """The folder of a SQLite database, else the working folder."""
    path = storage.removeprefix("sqlite:///")
    return Path.cwd() if path == storage else Path(path).resolve().parent


def cache_folder(storage: str, study: str) -> Path:
    """Where a study's task may keep what is dear to make."""
    return beside(storage) / "mapsearch-cache" / study


def spool_file(storage: str, study_id: str) -> Path:
    """Where a study keeps what its database did not take; the same whatever the study is called."""
    return beside(storage) / "mapsearch-cache" / f"unwritten-{study_id}.jsonl"
