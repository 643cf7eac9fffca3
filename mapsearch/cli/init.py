"""`mapsearch init`: a new study's folder."""

from pathlib import Path

import click

from mapsearch.cli.options import EXAMPLE
from mapsearch.cli.output import print_line, print_next


@click.command(epilog=EXAMPLE + "mapsearch init my-study --template vision")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--template", type=click.Choice(["vision", "text", "embedding"]), default="vision", show_default=True)
def init(folder: Path, template: str) -> None:
    """Write a commented study.yaml, named as DIR, and a task.py; both run as they are."""
    from mapsearch.api.scaffold import copy_template

    for path in copy_template(template, folder):
        print_line(str(path))
    print_next([f"mapsearch run {folder / 'study.yaml'}"])
