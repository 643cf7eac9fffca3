"""`mapsearch copy`: a study once more under another name."""

import click

from mapsearch.cli.options import EXAMPLE, storage_option
from mapsearch.cli.output import print_line


@click.command(epilog=EXAMPLE + "mapsearch copy digits digits-more-trials")
@click.argument("name")
@click.argument("new_name")
@storage_option
def copy(name: str, new_name: str, storage: str) -> None:
    """Copy a study within the database, with all that it found; each goes on by itself from there."""
    from mapsearch.api import upkeep

    upkeep.copy(name, new_name, storage)
    print_line(f"study {new_name} holds what {name} does; go on with it by `mapsearch run {new_name} --set ...`")
