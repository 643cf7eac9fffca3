"""`mapsearch schema`: every key of the study file, its default and its range."""

import click

from mapsearch.cli.options import EXAMPLE
from mapsearch.cli.output import print_json


@click.command(epilog=EXAMPLE + "mapsearch schema > study.schema.json")
def schema() -> None:
    """Print the JSON Schema of the study file, for editors."""
    from mapsearch.core.spec import StudySpec

    print_json(StudySpec.model_json_schema())
