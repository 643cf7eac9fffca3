"""`mapsearch port`: a study for changed networks, from an old study's evidence."""

from pathlib import Path

import click

from mapsearch.cli.options import EXAMPLE, log_options, read_study, settings_option, storage_option, study_argument
from mapsearch.cli.run import follow


@click.command(epilog=EXAMPLE + "mapsearch port digits deeper/study.yaml")
@click.argument("old", metavar="OLD")
@study_argument
@settings_option
@storage_option
@click.option("--inline", is_flag=True, help="Train in this process, for debugging.")
@log_options
@click.pass_context
def port(
    context: click.Context, old: str, study: Path, settings: tuple[str, ...], storage: str, inline: bool,
    log_to: tuple[str, ...], log_dir: Path | None,
) -> None:  # fmt: skip
    """Run a study of other networks that begins with what the study OLD found, as far as it holds there."""
    spec = read_study(study, settings)
    from mapsearch.api.porting import port_updates

    text = study.read_text(encoding="utf-8")
    follow(context, port_updates(old, spec, storage, text, inline=inline), spec.name, storage, log_to, log_dir)
