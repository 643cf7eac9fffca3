"""`mapsearch clean`: what studies can do without."""

import click

from mapsearch.cli.options import EXAMPLE, storage_option
from mapsearch.cli.output import print_line
from mapsearch.core.disk_use import DiskUse, readable
from mapsearch.core.errors import StudyBusy
from mapsearch.core.folders import cache_folder


@click.command(epilog=EXAMPLE + "mapsearch clean digits --dry-run")
@click.argument("name", required=False)
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--dry-run", is_flag=True, help="Only say how much would be freed.")
@storage_option
def clean(name: str | None, yes: bool, dry_run: bool, storage: str) -> None:
    """Free caches, loss curves and spools of study NAME, or of all; results, recipes and verdicts stay.

    What a task keeps in its cache folder, such as a teacher that it trained, goes too, and is made again when needed.
    """
    from mapsearch.api import cleaning

    used = cleaning.disk_use(name, storage)
    for study in used:
        print_line(str(study))
    total = sum(study.total for study in used)
    if dry_run or not total:
        print_line(f"{readable(total)} could be freed")
        return
    if not yes:
        click.confirm(f"free {readable(total)}?", abort=True, err=True)
    freed = sum(_freed(study, storage, is_one_of_many=name is None) for study in used if study.total)
    print_line(f"{readable(freed)} freed")


def _freed(study: DiskUse, storage: str, *, is_one_of_many: bool) -> int:
    """Bytes that were freed of a study; what stays is told."""
    from mapsearch.api import cleaning

    try:
        freed = cleaning.clean(study.study, storage).total
    except StudyBusy as error:
        if not is_one_of_many:
            raise
        print_line(f"{study.study} stays as it is: {error}", err=True)
        return 0
    if left := study.total - freed:
        folder = cache_folder(storage, study.study)
        print_line(f"{readable(left)} of {study.study} stay: {folder} cannot be removed", err=True)
    return freed
