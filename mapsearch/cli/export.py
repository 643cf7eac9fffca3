"""`mapsearch export`: write a mapping for a trainer, or look whether a written file still gives the trial's loss."""

from pathlib import Path
from typing import get_args

import click

from mapsearch.cli.options import EXAMPLE, storage_option
from mapsearch.core.text import printable
from mapsearch.exports.capability import TargetName

WRITTEN = "-"
"""What `--verify` holds when no file is named: the one that is written now."""


@click.command(epilog=EXAMPLE + "mapsearch export digits --to torch -o distill_digits.py --verify")
@click.argument("name")
@click.option("--to", "target", required=True, help=f"Target: {', '.join(get_args(TargetName))}.")
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="The file to write.")
@click.option("--trial", type=int, help="Trial number; default: the recommended one, or the one FILE is of.")
@click.option("--schema", help="Version of the format, where the target has several.")
@click.option("--lossy", is_flag=True, help="Write it though the target cannot express all; says what is lost.")
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
    schema: str | None,
    lossy: bool,
    verify: str | None,
    storage: str,
) -> None:
    """Write a mapping as a training config or module."""
    from mapsearch.api import exports

    if verify not in (None, WRITTEN):
        if output or schema or lossy:
            raise click.UsageError(f"--verify {verify} writes nothing; leave out -o, --schema and --lossy")
        click.echo(printable(exports.verify_export(name, target, Path(verify), trial=trial, storage=storage)))
    elif output is None:
        raise click.UsageError("-o FILE says where to write; or --verify FILE looks at a file that is there")
    else:
        checked = verify is not None
        said = exports.export(
            name, target, output, trial=trial, verify=checked, lossy=lossy, schema=schema, storage=storage
        )
        click.echo(printable(said))
