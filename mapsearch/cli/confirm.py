"""`mapsearch confirm`: more fresh seeds for a finished study."""

from pathlib import Path

import click

from mapsearch.cli.options import EXAMPLE, log_options, storage_option
from mapsearch.cli.run import follow


@click.command(epilog=EXAMPLE + "mapsearch confirm digits --seeds 18")
@click.argument("name")
@click.option("--seeds", type=click.IntRange(min=4, max=100), required=True, help="Fresh seeds in all, at most.")
@storage_option
@click.option("--inline", is_flag=True, help="Train in this process, for debugging.")
@log_options
@click.pass_context
def confirm(
    context: click.Context,
    name: str,
    seeds: int,
    storage: str,
    inline: bool,
    log_to: tuple[str, ...],
    log_dir: Path | None,
) -> None:
    """Go on with the open questions of a finished study; the verdict's guarantees hold however often."""
    from mapsearch.api.confirmation import confirm_updates

    follow(context, confirm_updates(name, seeds, storage, inline=inline), name, storage, log_to, log_dir)
