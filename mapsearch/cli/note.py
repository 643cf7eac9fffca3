"""`mapsearch note`: what people write about a study."""

import click

from mapsearch.cli.options import EXAMPLE, storage_option
from mapsearch.cli.output import print_line


@click.command(epilog=EXAMPLE + 'mapsearch note digits "features buy nothing here; shipped with outputs alone"')
@click.argument("name")
@click.argument("text", required=False)
@storage_option
def note(name: str, text: str | None, storage: str) -> None:
    """Show the note of a study, or replace it by TEXT; an empty TEXT removes it."""
    from mapsearch.api import queries, upkeep

    if text is not None:
        upkeep.note(name, text, storage)
    print_line(queries.overview(name, storage, n_best=0).note)
