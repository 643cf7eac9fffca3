"""`mapsearch report`: a study as one HTML page."""

from pathlib import Path

import click

from mapsearch.cli.options import EXAMPLE, storage_option
from mapsearch.cli.output import print_line


@click.command(epilog=EXAMPLE + "mapsearch report digits -o digits.html")
@click.argument("name")
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path, dir_okay=False), metavar="FILE.html")
@storage_option
def report(name: str, output: Path, storage: str) -> None:
    """Write a study as one self-contained page: decision, questions, mapping, cost, what to do next."""
    from mapsearch.api.reports import write_report

    print_line(write_report(name, output, storage=storage))
