"""Options and arguments that several commands take, and the study file that they name."""

from pathlib import Path
from typing import Any

import click

from mapsearch.cli.output import print_line
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


def read_study(path: Path) -> Any:
    """The `StudySpec` of a file. Commands call this before they import anything heavy: a typo is reported at once."""
    from mapsearch.core.study_file import load_study

    spec = load_study(path)
    for notice in spec.notices:
        print_line(f"notice: {path}: {notice}", err=True)
    return spec
