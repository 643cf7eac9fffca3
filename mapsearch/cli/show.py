"""`mapsearch show`: what a study found."""

import click

from mapsearch.cli import remote
from mapsearch.cli.options import EXAMPLE, json_option, storage_option, url_option
from mapsearch.cli.output import print_json, print_line, print_next, print_table, print_text, table_width
from mapsearch.core.recipe import Recipe
from mapsearch.core.studies import ACTIVE
from mapsearch.core.summaries import StudyOverview


@click.command(epilog=EXAMPLE + "mapsearch show digits")
@click.argument("name")
@storage_option
@url_option
@json_option
@click.option("--all", "every", is_flag=True, help="List every proposal and every control, not only the best.")
@click.option("--limit", type=click.IntRange(min=1), help="With --json: show at most this many trials, by number.")
@click.option("--after", type=int, default=-1, help="With --json: show only trials above this number (next page).")
def show(name: str, storage: str, url: str | None, as_json: bool, every: bool, limit: int | None, after: int) -> None:
    """Show a study: verdict, best mappings, controls, cost."""
    from mapsearch.api import queries

    if as_json:
        print_json(
            queries.show(name, storage, after=after, limit=limit)
            if url is None
            else remote.show(name, url, after=after, limit=limit)
        )
        return
    from mapsearch.report import study as report
    from mapsearch.report.failures import failure_sentences
    from mapsearch.report.port import port_sentences
    from mapsearch.report.trials import SHOWN_TRIALS, trials_tables

    if url is None:
        study = queries.overview(name, storage, None if every else SHOWN_TRIALS)
    else:
        study = remote.overview(name, url, remote.MOST_SHOWN if every else SHOWN_TRIALS)
    for table in trials_tables(study.trials, study.metric, study.direction, table_width(), every=every):
        print_table(table)
    if study.verdict is not None:
        print_verdict(study)
    for line in [*(port_sentences(study.port) if study.port else []), *failure_sentences(study.failures)]:
        print_text(line)
    print_text(report.progress_sentence(study))
    if study.state == "complete":
        print_next(report.next_commands(study), storage)
    elif study.state not in ACTIVE:
        print_next([f"mapsearch run {name}"], storage)


def print_verdict(study: StudyOverview) -> None:
    """Every metric, the questions with their answers, the nominee's mapping, what to heed, and what to do."""
    from mapsearch.report import study as report
    from mapsearch.report.mapping_text import mapping_lines

    verdict = study.verdict
    assert verdict is not None
    if metrics := report.metrics_table(study.trials, verdict):
        print_table(metrics)
    if verdict.against or verdict.questions:
        print_table(report.verdict_table(verdict, study.metric))
    nominee = next((t for t in study.trials if t.number == verdict.nominee), None)
    if nominee is not None:
        print_line(f"the nominee's mapping (trial {nominee.number}), student <- teacher:")
        for line in mapping_lines(Recipe.from_json(nominee.recipe).mapping):
            print_line(line)
    for warning in verdict.warnings:
        print_text(f"warning: {warning}")
    print_text(verdict.sentence)
