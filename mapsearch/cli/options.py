"""Options and arguments that several commands take."""

from pathlib import Path

import click

from mapsearch.core.studies import DEFAULT_STORAGE

EXAMPLE = "\b\nExample:\n  "

storage_option = click.option(
    "--storage",
    default=DEFAULT_STORAGE,
    envvar="MAPSEARCH_STORAGE",
    show_default=True,
    show_envvar=True,
    help="SQLAlchemy URL of the study database.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
study_argument = click.argument("study", metavar="STUDY.yaml", type=click.Path(path_type=Path))
