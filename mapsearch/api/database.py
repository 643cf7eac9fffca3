"""What is asked of a study database as a whole; nothing here imports torch but the sampler's tables."""

from pathlib import Path

from mapsearch.store import transfer
from mapsearch.store.connect import connect_to_read
from mapsearch.store.rescue import rescue
from mapsearch.store.schema import HEAD, PREFIX


def upgrade_database(url: str) -> str:
    """Bring a database to the form of this version of mapsearch, and give that form.

    Raises:
        NoDatabase: there is none.
        StoreError: the database cannot be used, or a newer mapsearch wrote it.
    """
    engine, _ = connect_to_read(url)  # which brings it there, and makes none
    engine.dispose()
    return HEAD


def check_database(url: str) -> list[str]:
    """What is wrong with a database, one line each; empty where all is well.

    Raises:
        StoreError: the database cannot be opened.
    """
    return transfer.integrity(url)


def back_up_database(url: str, file: Path) -> None:
    """Copy a SQLite database into a new file, beside whoever writes to it.

    Raises:
        StoreError: the database is not SQLite, or the file exists or cannot be written.
    """
    transfer.backup(url, file)


def rescue_database(url: str, file: Path) -> list[str]:
    """Copy what can still be read of a damaged SQLite database into a new file, and give a line for each of our tables.

    Raises:
        StoreError: nothing can be read, or the file exists.
    """
    counts = rescue(url, file)
    ours = {name.removeprefix(PREFIX): count for name, count in counts.items() if name.startswith(PREFIX)}
    return [f"{name}: {n} rows{'' if whole else ', the rest is damaged'}" for name, (n, whole) in sorted(ours.items())]


def copy_database(url: str, to: str) -> dict[str, int]:
    """Copy every study into another database, SQLite or PostgreSQL, and give the number of studies, trials and runs.

    Raises:
        StoreError: a study is running, the target holds studies, or either database cannot be used.
    """
    from mapsearch.proposers.optuna_record import create_tables

    counts = transfer.copy_database(url, to, create_more=create_tables)
    return {name: counts[f"{PREFIX}{name}"] for name in ("studies", "trials", "runs")}
