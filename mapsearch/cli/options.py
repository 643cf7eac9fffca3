"""Options and arguments that several commands take, and the study file that they name."""

from collections.abc import Callable, Sequence
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
url_option = click.option(
    "--url",
    envvar="MAPSEARCH_URL",
    show_envvar=True,
    help="Ask a `mapsearch serve` instead of a database: the link that it printed.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
study_argument = click.argument("study", metavar="STUDY.yaml", type=click.Path(path_type=Path))


settings_option = click.option(
    "--set", "settings", metavar="KEY=VALUE", multiple=True, help="Set a key of the study file: --set train.lr=2.0e-3."
)
_log_to_option = click.option(
    "--log-to",
    "--report-to",  # as the trainer of Hugging Face calls it
    "log_to",
    type=click.Choice(["tensorboard", "wandb", "mlflow"]),
    multiple=True,
    help="Also log to this tracker; may be given several times.",
)
_log_dir_option = click.option(
    "--log-dir", type=click.Path(path_type=Path, file_okay=False), help="Where trackers write."
)


def log_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--log-to` and `--log-dir` of a command that the events of a study or a training pass through."""
    return _log_to_option(_log_dir_option(command))


def read_study(path: Path, settings: Sequence[str] = ()) -> Any:
    """The `StudySpec` of a file. Commands call this before they import anything heavy: a typo is reported at once."""
    from mapsearch.core.study_file import load_study

    spec = load_study(path, settings)
    for notice in spec.notices:
        print_line(f"notice: {path}: {notice}", err=True)
    return spec
