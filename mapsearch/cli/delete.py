"""`mapsearch delete`: a study and all that it found."""

import click

from mapsearch.cli.options import EXAMPLE, storage_option
from mapsearch.cli.output import print_line


@click.command(epilog=EXAMPLE + "mapsearch delete digits-first-try")
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@storage_option
def delete(name: str, yes: bool, storage: str) -> None:
    """Remove a study from the database, with all its trials and runs."""
    from mapsearch.api import queries, upkeep

    study = queries.overview(name, storage, n_best=0)
    if not yes:
        what = f"delete study {name} ({study.state}, {study.n_trials} trials, {study.n_complete} complete runs)?"
        click.confirm(what, abort=True, err=True)
    left = upkeep.delete(name, storage)
    print_line(f"study {name} is deleted")
    for path in left:
        print_line(f"{path} cannot be removed; remove it by hand", err=True)
