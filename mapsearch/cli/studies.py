"""`mapsearch studies`: what is in the database."""

import click

from mapsearch.cli import remote
from mapsearch.cli.options import EXAMPLE, json_option, storage_option, url_option
from mapsearch.cli.output import print_json, print_table


@click.command(epilog=EXAMPLE + "mapsearch studies --json")
@storage_option
@url_option
@json_option
def studies(storage: str, url: str | None, as_json: bool) -> None:
    """List the studies: state, progress, verdict sentence."""
    from mapsearch.api.queries import list_studies

    listed = list_studies(storage) if url is None else remote.list_studies(url)
    if as_json:
        from mapsearch.report.study_json import study_summary

        print_json([study_summary(study) for study in listed])
    else:
        from mapsearch.report.study import studies_table

        print_table(studies_table(listed))
