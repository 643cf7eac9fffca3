"""`mapsearch rename`: another name for a study."""

import click

from mapsearch.cli.options import EXAMPLE, storage_option
from mapsearch.cli.output import print_line


@click.command(epilog=EXAMPLE + "mapsearch rename digits digits-first-try")
@click.argument("name")
@click.argument("new_name")
@storage_option
def rename(name: str, new_name: str, storage: str) -> None:
    """Give a study of the database another name; give it to its study file, too."""
    from mapsearch.api import upkeep

    left = upkeep.rename(name, new_name, storage)
    print_line(f"study {name} is now {new_name}; its study file goes on with it once it says `name: {new_name}`")
    if left is not None:
        what = "move it by hand, or its task makes anew what it kept there"
        print_line(f"{left} cannot be moved to {left.with_name(new_name)}; {what}", err=True)
