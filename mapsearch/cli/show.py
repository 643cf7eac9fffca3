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
    from mapsearch import report
    from mapsearch.api import queries

    if as_json:
        print_json(queries.show(name, storage, after=after, limit=limit))
        return
    found = queries.overview(name, storage, report.SHOWN_TRIALS)
    study, metric = found.study, found.study.spec["metric"]
    print_table(report.trials_table(found.trials, found.runs, metric, study.spec["direction"]))
    if study.facts.verdict is not None:
        print_verdict(study.facts.verdict, metric)
    print_line(report.progress_sentence(study, found.cost))
    done = study.state == "complete"
    print_next(
        f"mapsearch export {name} --to torch -o distill.py --verify" if done else "mapsearch run STUDY.yaml", storage
    )


def print_verdict(verdict: Verdict, metric: str) -> None:
    """The comparison with every control, what to heed, and the sentence that says it all."""
    from mapsearch.report import verdict_table

    if verdict.against:
        print_table(verdict_table(verdict, metric))
    for warning in verdict.warnings:
        print_line(f"warning: {warning}")
    print_line(verdict.sentence)
