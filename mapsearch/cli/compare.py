"""`mapsearch compare`: two studies side by side."""

import click

from mapsearch.cli.options import EXAMPLE, json_option, storage_option
from mapsearch.cli.output import print_json, print_table, print_text


@click.command(epilog=EXAMPLE + "mapsearch compare digits digits-more-trials")
@click.argument("one")
@click.argument("other")
@storage_option
@json_option
def compare(one: str, other: str, storage: str, as_json: bool) -> None:
    """Show two studies side by side: decisions, gains, cost, and the settings that differ."""
    from mapsearch.api import queries

    comparison = queries.compare_studies(one, other, storage)
    if as_json:
        print_json(comparison.to_json())
        return
    from mapsearch.report.study import comparison_table

    print_table(comparison_table(comparison))
    print_text(comparison.sentence)
