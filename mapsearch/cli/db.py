"""`mapsearch db`: a study database as a whole."""

from pathlib import Path

import click

from mapsearch.cli.options import EXAMPLE, storage_option
from mapsearch.cli.output import print_line
from mapsearch.core.errors import StudyFailed


@click.group(epilog=EXAMPLE + "mapsearch db backup studies-backup.db")
def db() -> None:
    """Upgrade, check, back up, rescue or copy a study database."""


@db.command()
@storage_option
def upgrade(storage: str) -> None:
    """Bring the database to the form that this version reads; every command that writes does so, too."""
    from mapsearch.api.database import upgrade_database

    print_line(f"form {upgrade_database(storage)}")


@db.command()
@storage_option
def check(storage: str) -> None:
    """Look for damage: pages that cannot be read, rows whose study is missing."""
    from mapsearch.api.database import check_database

    problems = check_database(storage)
    if problems:
        raise StudyFailed(*problems)
    print_line("nothing wrong was found")


@db.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@storage_option
def backup(file: Path, storage: str) -> None:
    """Copy a SQLite database to FILE as it is now; a study may go on meanwhile."""
    from mapsearch.api.database import back_up_database

    back_up_database(storage, file)
    print_line(str(file))


@db.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@storage_option
def rescue(file: Path, storage: str) -> None:
    """Copy what can still be read of a damaged SQLite database to FILE, which is new.

    A study of which rows are missing can be shown and exported, and should not be run on.
    """
    from mapsearch.api.database import rescue_database

    for line in rescue_database(storage, file):
        print_line(line)


@db.command(epilog=EXAMPLE + "mapsearch db copy postgresql+psycopg://me@host/studies")
@click.argument("to", metavar="URL")
@storage_option
def copy(to: str, storage: str) -> None:
    """Copy every study to the database at URL, which holds none: SQLite to PostgreSQL, or back."""
    from mapsearch.api.database import copy_database

    counts = copy_database(storage, to)
    print_line(", ".join(f"{n} {name}" for name, n in counts.items()) + " copied")
