"""`mapsearch train`: the final student of a study or of a recipe file, with progress on stderr."""

import os
from pathlib import Path
from typing import Any, get_args

import click

from mapsearch.cli.logged import logged
from mapsearch.cli.options import EXAMPLE, json_option, log_options, storage_option
from mapsearch.cli.output import print_json, print_line
from mapsearch.core.trained import Keep


@click.command(epilog=EXAMPLE + "mapsearch train digits -o digits-student")
@click.argument("source", metavar="NAME|RECIPE.yaml")
@click.option("-o", "--output", type=click.Path(path_type=Path, file_okay=False), required=True, help="The folder.")
@click.option("--trial", type=int, help="Trial number; default: the recommended one, or else the nominee.")
@click.option("--steps", type=click.IntRange(min=2), help="Optimizer steps; default: the full schedule.")
@click.option("--seed", type=click.IntRange(min=0, max=2**31 - 1), help="Default: that of the trial's reference run.")
@click.option(
    "--keep",
    type=click.Choice(get_args(Keep)),
    default="last",
    show_default=True,
    help="Weights of the last step, as the study measured them, or the best ones on the validation data.",
)
@click.option("--device", help="cpu, cuda or cuda:N; default: that of the study.")
@click.option("--shard", is_flag=True, help="Spread weights over the processes of a launcher (FSDP2).")
@log_options
@json_option
@storage_option
@click.pass_context
def train(
    context: click.Context, /, log_to: tuple[str, ...], log_dir: Path | None, as_json: bool, **options: Any
) -> None:
    """Train the final student; the same command goes on where it stopped."""
    from mapsearch.api.training import train_updates
    from mapsearch.cli.training_display import show_training

    is_first = os.environ.get("RANK", "0") == "0"  # of several processes one speaks
    name = options["output"].resolve().name
    updates = logged(train_updates(**options), name, log_to if is_first else (), log_dir if is_first else None)
    try:
        report = show_training(updates, quiet=not is_first)
    except KeyboardInterrupt:
        print_line("stopped; the same command goes on from the last checkpoint", err=True)
        context.exit(130)
    if not is_first:
        return
    if as_json:
        print_json(report.to_json())
        return
    for data, metrics in report.metrics.items():
        teacher = report.teacher[data][report.metric]
        beside = "" if teacher is None else f" (teacher {teacher:.4g})"
        print_line(f"{data}: {report.metric} {metrics[report.metric]:.4g}{beside}")
