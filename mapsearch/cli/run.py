"""`mapsearch run`: the whole search, with progress on stderr and the verdict on stdout."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from mapsearch.cli.logged import logged
from mapsearch.cli.options import EXAMPLE, log_options, read_study, settings_option, storage_option
from mapsearch.cli.output import print_line, print_next
from mapsearch.cli.show import print_verdict
from mapsearch.core.cluster import RayCluster
from mapsearch.core.errors import NoDatabase, StartWithdrawn, StudyNotFound


@click.command(epilog=EXAMPLE + "mapsearch run my-study/study.yaml --storage sqlite:///studies.db")
@click.argument("study", metavar="STUDY.yaml|NAME", type=click.Path(path_type=Path))
@settings_option
@storage_option
@click.option("--inline", is_flag=True, help="Train in this process, for debugging.")
@click.option(
    "--executor", type=click.Choice(["local", "ray"]), default="local", show_default=True, help="Where workers live."
)
@click.option("--address", help="With --executor ray: `auto` or host:port; unset, Ray starts on this machine.")
@click.option(
    "--per-gpu", type=click.IntRange(min=1), default=1, show_default=True, help="With --executor ray: workers per GPU."
)
@log_options
@click.option("--as-asked", is_flag=True, hidden=True, help="Fulfil the request to start NAME, if it still stands.")
@click.pass_context
def run(
    context: click.Context, study: Path, settings: tuple[str, ...], storage: str, inline: bool,
    executor: str, address: str | None, per_gpu: int, log_to: tuple[str, ...], log_dir: Path | None, as_asked: bool,
) -> None:  # fmt: skip
    """Run the whole search, or resume it where it stopped; NAME resumes a study of the database."""
    if as_asked:  # by the service
        _fulfil(context, str(study), storage)
        return
    if executor != "ray" and (address or per_gpu > 1):
        raise click.ClickException("--address and --per-gpu go with --executor ray")
    if executor == "ray" and inline:
        raise click.ClickException("--inline trains in this process; leave out --executor ray")
    is_file = study.suffix in (".yaml", ".yml") or study.is_file() or len(study.parts) != 1
    spec, text = _from_file(study, settings) if is_file else _from_database(str(study), settings, storage)
    from mapsearch.controller.run import run as run_loop

    cluster = RayCluster(address, per_gpu) if executor == "ray" else None
    updates = run_loop(spec, storage, text, inline=inline, cluster=cluster, is_stored=not is_file)
    follow(context, updates, spec.name, storage, log_to, log_dir)


def _fulfil(context: click.Context, name: str, storage: str) -> None:
    from mapsearch.api.starting import asked_updates

    try:
        follow(context, asked_updates(name, storage), name, storage)
    except StartWithdrawn as error:
        print_line(f"nothing to start: {error}", err=True)


def _from_file(path: Path, settings: tuple[str, ...]) -> tuple[Any, str]:
    """The study, and the text to keep of it."""
    from mapsearch.core.study_file import study_text

    return read_study(path, settings), study_text(path.read_text(encoding="utf-8"), settings)


def _from_database(name: str, settings: tuple[str, ...], storage: str) -> tuple[Any, str]:
    from mapsearch.api.launching import study_to_run

    try:
        return study_to_run(name, settings, storage)
    except (NoDatabase, StudyNotFound) as error:
        if (file := Path(name) / "study.yaml").is_file():  # a folder was named as if it were a study
            raise type(error)(f"{error}; did you mean the file `{file}`?") from None
        raise


def follow(
    context: click.Context, updates: Iterator[Any], name: str, storage: str, log_to: tuple[str, ...] = (),
    log_dir: Path | None = None,
) -> None:  # fmt: skip
    """Show what happens to a study on stderr, and its verdict on stdout; log it, where trackers are named."""
    from mapsearch.api import queries
    from mapsearch.cli.progress_display import show_updates
    from mapsearch.report.study import next_commands

    updates = logged(updates, name, log_to, log_dir)
    try:
        show_updates(updates)
    except KeyboardInterrupt:
        print_line("stopped; all finished runs are saved, and the same command resumes", err=True)
        context.exit(130)
    study = queries.overview(name, storage, n_best=1)
    print_verdict(study)
    print_next([f"mapsearch show {name}", *next_commands(study)], storage)
