"""`mapsearch show`: what a study found."""

import click

from mapsearch.cli.options import EXAMPLE, json_option, storage_option
from mapsearch.cli.output import print_json, print_line, print_next, print_table
from mapsearch.core.verdict import Verdict


@click.command(epilog=EXAMPLE + "mapsearch show digits")
@click.argument("name")
@storage_option
@json_option
@click.option("--limit", type=click.IntRange(min=1), help="With --json: show at most this many trials, by number.")
@click.option("--after", type=int, default=-1, help="With --json: show only trials above this number (next page).")
def show(name: str, storage: str, as_json: bool, limit: int | None, after: int) -> None:
    """Show a study: verdict, best mappings, controls, cost."""
    from mapsearch.api import queries

    if as_json:
        print_json(queries.show(name, storage, after=after, limit=limit))
        return
    from mapsearch.report import study as report

    study = queries.overview(name, storage, report.SHOWN_TRIALS)
    print_table(report.trials_table(study.trials, study.metric, study.direction))
    if study.verdict is not None:
        print_verdict(study.verdict, study.metric)
    print_line(report.progress_sentence(study))
    done = study.state == "complete"
    print_next(
        f"mapsearch export {name} --to torch -o distill.py --verify" if done else "mapsearch run STUDY.yaml", storage
    )


def print_verdict(verdict: Verdict, metric: str) -> None:
    """The comparison with every control, what to heed, and the sentence that says it all."""
    from mapsearch.report.study import verdict_table

    if verdict.against or verdict.questions:
        print_table(verdict_table(verdict, metric))
    for warning in verdict.warnings:
        print_line(f"warning: {warning}")
    print_line(verdict.sentence)
