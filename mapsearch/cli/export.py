"""`mapsearch export`: write a recipe for another trainer, or compare a written file with its trial."""

from pathlib import Path
from typing import get_args

import click

from mapsearch.cli.options import EXAMPLE, storage_option
from mapsearch.cli.output import print_line
from mapsearch.exports.names import TargetName

WRITTEN = "-"
"""The value of `--verify` when no file is named: the file that is written now."""


@click.command(epilog=EXAMPLE + "mapsearch export digits --to torch -o distill_digits.py --verify")
@click.argument("name")
@click.option("--to", "target", required=True, help=f"Target: {', '.join(get_args(TargetName))}.")
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="The file to write.")
@click.option("--trial", type=int, help="Trial number; default: the recommended one, or the one that FILE names.")
@click.option(
    "--lossy", is_flag=True, help="Write even what the target can express only in part, and list what is lost."
)
@click.option(
    "--verify",
    is_flag=False,
    flag_value=WRITTEN,
    metavar="[FILE]",
    help="Run the written file, or FILE, in its framework and compare its loss with the trial's.",
)
@storage_option
def export(
    name: str,
    target: str,
    output: Path | None,
    trial: int | None,
    lossy: bool,
    verify: str | None,
    storage: str,
) -> None:
    """Write a recipe as a training config or module for another trainer."""
    from mapsearch.api import exports

    if verify not in (None, WRITTEN):
        if output or lossy:
            raise click.ClickException(f"--verify {verify} writes nothing; leave out -o and --lossy")
        print_line(exports.verify_export(name, target, Path(verify), trial=trial, storage=storage))
        return
    if output is None:
        raise click.ClickException("give one FILE only: -o FILE writes a file, --verify FILE compares an existing one")
    checked = verify is not None
    print_line(exports.export(name, target, output, trial=trial, verify=checked, lossy=lossy, storage=storage))
