"""The command line: each command parses, calls one thing and prints. stdout is the result, stderr is progress."""

import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from mapsearch import __version__
from mapsearch.cli.export import export
from mapsearch.cli.options import EXAMPLE, json_option, storage_option, study_argument
from mapsearch.core.errors import MapsearchError, did_you_mean
from mapsearch.core.studies import DEFAULT_STORAGE
from mapsearch.core.text import printable, printable_json


class _Commands(click.Group):
    """A group that offers close matches for a misspelt command."""

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            hint = did_you_mean(args[0], list(self.commands)) or f"; commands: {', '.join(self.commands)}"
            raise click.UsageError(f"no command `{args[0]}`{hint}", ctx)
        return super().resolve_command(ctx, args)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, package_name="mapsearch")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def cli(debug: bool) -> None:
    """Find which teacher layers should teach which student layers, and prove whether it is worth it.

    \b
    Example:
      mapsearch init my-study && mapsearch run my-study/study.yaml
    """


cli.add_command(export)


@cli.command(epilog=EXAMPLE + "mapsearch init my-study --template vision")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--template", type=click.Choice(["vision", "text"]), default="vision", show_default=True)
def init(folder: Path, template: str) -> None:
    """Write a commented study.yaml and task.py that run as they are."""
    from mapsearch.api.scaffold import copy_template

    for path in copy_template(template, folder):
        _echo(str(path))
    _next(f"mapsearch run {folder / 'study.yaml'}")


@cli.command(epilog=EXAMPLE + "mapsearch layers my-study/study.yaml")
@study_argument
@storage_option
@json_option
def layers(study: Path, storage: str, as_json: bool) -> None:
    """List the layers of both networks: path, shape, calls per forward pass, usable or why not."""
    from mapsearch.api.inspect import layers_of

    found = layers_of(_load(study), storage)
    if as_json:
        _print_json({network: [layer.to_json() for layer in layers] for network, layers in found.items()})
        return
    from mapsearch.report import layers_table

    for network, listed in found.items():
        _print(layers_table(network, listed))


@cli.command(epilog=EXAMPLE + "mapsearch check my-study/study.yaml")
@study_argument
@storage_option
@json_option
def check(study: Path, storage: str, as_json: bool) -> None:
    """Preflight on a real batch: does everything that must learn, learn? Plus a forecast."""
    from mapsearch.check import check as run_check
    from mapsearch.check import raise_for_errors
    from mapsearch.tasks.loading import cache_folder, load_task

    spec = _load(study)
    _print_notices(spec.notices)
    report = run_check(load_task(spec, cache_folder(storage, spec.name)), spec)
    if as_json:
        _print_json(report.to_json())
    else:
        from mapsearch.report import findings_table

        _print(findings_table([(f.level, f.topic, f.message) for f in report.findings]))
        _echo(report.forecast)
    raise_for_errors(report)
    _next(f"mapsearch run {study}")


@cli.command(epilog=EXAMPLE + "mapsearch similarity my-study/study.yaml --plot similarity.png")
@click.argument("source", metavar="STUDY.yaml|FILE.json", type=click.Path(path_type=Path))
@storage_option
@json_option
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV, a line per pair of layers.")
@click.option("--plot", type=click.Path(path_type=Path, dir_okay=False), help="Draw it as PNG or SVG.")
@click.option(
    "--against",
    metavar="FILE.json",
    type=click.Path(path_type=Path),
    help="Compare with an earlier similarity, a file that --json wrote.",
)
def similarity(
    source: Path, storage: str, as_json: bool, as_csv: bool, plot: Path | None, against: Path | None
) -> None:
    """Measure how alike the layers are, with the floor below which it is noise.

    A study is measured now; a FILE.json, which --json wrote, is shown as it is.
    """
    if as_csv and (as_json or against):
        raise click.UsageError(f"--csv cannot go with {'--json' if as_json else '--against'}; choose one")
    from mapsearch import report
    from mapsearch.similarity.comparison import compare_similarities, read_similarity

    if plot is not None:
        report.require_picture_path(plot)
    before = read_similarity(against) if against else None
    measured = source.suffix.lower() != ".json"
    found = _measure(source, storage) if measured else read_similarity(source)
    faces: tuple[Any, Any, Any] = (report.plot_similarity, report.similarity_table, report.similarity_lines)
    if before is not None:
        found = compare_similarities(before, found)
        faces = report.plot_comparison, report.comparison_table, report.comparison_lines
    draw, table, lines = faces
    if plot is not None:
        draw(found, plot)
    if as_csv:
        click.echo(report.similarity_csv(found), nl=False)
    elif as_json:
        _print_json(found.to_json())
    else:
        _print(table(found))
        for line in lines(found):
            _echo(line)
        if measured:
            _next(f"mapsearch run {source}")


@cli.command(epilog=EXAMPLE + "mapsearch run my-study/study.yaml --storage sqlite:///studies.db")
@study_argument
@storage_option
@click.option("--inline", is_flag=True, help="Train in this process, for debugging.")
def run(study: Path, storage: str, inline: bool) -> None:
    """Run the whole search with live progress; run again, it resumes."""
    from mapsearch.cli.progress_display import show_updates
    from mapsearch.controller.run import run as run_loop
    from mapsearch.core.verdict import Verdict
    from mapsearch.report import verdict_table

    spec = _load(study)
    _print_notices(spec.notices)
    verdict = show_updates(run_loop(spec, storage, study.read_text(encoding="utf-8"), inline=inline))
    assert isinstance(verdict, Verdict)
    if verdict.against:
        _print(verdict_table(verdict, spec.metric))
    for warning in verdict.warnings:
        _echo(f"warning: {warning}")
    _echo(verdict.sentence)
    _next(f"mapsearch show {spec.name}; mapsearch export {spec.name} --to torch -o distill.py --verify", storage)


@cli.command(epilog=EXAMPLE + "mapsearch studies --json")
@storage_option
@json_option
def studies(storage: str, as_json: bool) -> None:
    """List the studies: state, progress, verdict sentence."""
    from mapsearch.report import studies_table, study_summary
    from mapsearch.store.store import Store

    with Store.open(storage, create=False) as store:
        found = store.studies()
    if as_json:
        _print_json([study_summary(study) for study in found])
    else:
        _print(studies_table(found))


@cli.command(epilog=EXAMPLE + "mapsearch show digits")
@click.argument("name")
@storage_option
@json_option
def show(name: str, storage: str, as_json: bool) -> None:
    """Show a study: verdict, best mappings, controls, cost."""
    from mapsearch import report
    from mapsearch.api import queries
    from mapsearch.core.verdict import Verdict

    study, trials, runs = queries.read(name, storage)
    data = report.study_json(study, trials, runs)
    if as_json:
        _print_json(data)
        return
    _print(report.trials_table(trials, runs, data["metric"], data["direction"]))
    if data["verdict"]:
        verdict = Verdict.from_json(data["verdict"])
        if verdict.against:
            _print(report.verdict_table(verdict, data["metric"]))
        for warning in verdict.warnings:
            _echo(f"warning: {warning}")
        _echo(verdict.sentence)
    cost = data["cost"]
    n_done = sum(run.state == "complete" for run in runs)
    click.echo(
        f"{study.state}: {n_done} of {len(runs)} runs done, {cost['device_seconds']:.0f} device seconds, "
        f"{cost['full_run_equivalents']:.1f} full-run equivalents"
    )
    done = study.state == "complete"
    _next(f"mapsearch export {name} --to torch -o distill.py --verify" if done else "mapsearch run STUDY.yaml", storage)


@cli.command(epilog=EXAMPLE + "mapsearch schema > study.schema.json")
def schema() -> None:
    """Print the JSON Schema of the study file, for editors."""
    from mapsearch.core.spec import StudySpec

    _print_json(StudySpec.model_json_schema())


def main() -> None:
    """Run the command line; errors become one line each and an exit code."""
    debug = "--debug" in sys.argv
    try:
        cli.main(sys.argv[1:] or ["--help"], standalone_mode=False)
    except click.exceptions.Exit as leave:
        sys.exit(leave.exit_code)
    except click.ClickException as error:
        _fail([error.format_message()], 2)
    except MapsearchError as error:
        if debug:
            raise
        _fail(error.problems, error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        click.echo("stopped; all finished runs are saved, and the same command goes on", err=True)
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()
    except Exception as error:
        if debug:
            raise
        _fail(
            [f"unexpected {type(error).__name__}: {' '.join(str(error).split())}; `mapsearch --debug ...` shows where"],
            1,
        )


def _fail(problems: Iterable[str], code: int) -> None:
    for problem in problems:
        _echo(f"error: {problem}", err=True)
    sys.exit(code)


def _echo(line: str, err: bool = False) -> None:
    click.echo(printable(line), err=err)


def _load(path: Path) -> Any:
    from mapsearch.core.study_file import load_study

    return load_study(path)


def _print_notices(notices: Iterable[str]) -> None:
    for notice in notices:
        click.echo(f"notice: {notice}", err=True)


def _measure(study: Path, storage: str) -> Any:
    from mapsearch.api.inspect import similarity_of

    return similarity_of(_load(study), storage)


def _print(table: Any) -> None:
    from rich.console import Console

    console = Console()
    piped = not console.is_terminal and "COLUMNS" not in os.environ
    (Console(width=160) if piped else console).print(table)


def _print_json(data: Any) -> None:
    click.echo(printable_json(data))


def _next(command: str, storage: str = DEFAULT_STORAGE) -> None:
    place = "" if storage == DEFAULT_STORAGE else "   (with the same --storage)"  # the URL may hold a password
    _echo(f"next: {command}{place}", err=True)
