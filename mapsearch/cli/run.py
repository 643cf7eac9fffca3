"""`mapsearch run`: the whole search, with progress on stderr and the verdict on stdout."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from mapsearch.cli.options import EXAMPLE, read_study, storage_option, study_argument
from mapsearch.cli.output import print_line, print_next
from mapsearch.cli.show import print_verdict


@click.command(epilog=EXAMPLE + "mapsearch run my-study/study.yaml --storage sqlite:///studies.db")
@study_argument
@storage_option
@click.option("--inline", is_flag=True, help="Train in this process, for debugging.")
@click.pass_context
def run(context: click.Context, study: Path, storage: str, inline: bool) -> None:
    """Run the whole search, or resume it where it stopped."""
    spec = read_study(study)
    from mapsearch.controller.run import run as run_loop

    follow(context, run_loop(spec, storage, study.read_text(encoding="utf-8"), inline=inline), spec.name, storage)


def follow(context: click.Context, updates: Iterator[Any], name: str, storage: str) -> None:
    """Show what happens to a study on stderr, and its verdict on stdout."""
    from mapsearch.api import queries
    from mapsearch.cli.progress_display import show_updates

    try:
        verdict = show_updates(updates)
    except KeyboardInterrupt:
        print_line("stopped; all finished runs are saved, and the same command resumes", err=True)
        context.exit(130)
    assert verdict is not None
    metric = queries.overview(name, storage, n_best=1).metric  # the file may leave it to the outputs
    print_verdict(verdict, metric)
    print_next(f"mapsearch show {name}; mapsearch export {name} --to torch -o distill.py --verify", storage)
