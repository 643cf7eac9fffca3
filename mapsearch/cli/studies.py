"""`mapsearch studies`: what is in the database."""

import click

from mapsearch.cli.options import EXAMPLE, json_option, storage_option
from mapsearch.cli.output import print_json, print_table


@click.command(epilog=EXAMPLE + "mapsearch studies --json")
@storage_option
@json_option
def studies(storage: str, as_json: bool) -> None:
    """List the studies: state, progress, verdict sentence."""
    from mapsearch.api.queries import list_studies
    from mapsearch.report import studies_table, study_summary

    listed = list_studies(storage)
    if as_json:
        print_json([study_summary(study) for study in listed])
    else:
        print_table(studies_table(listed))
