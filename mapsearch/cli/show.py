"""`mapsearch show`: what a study found."""

import click

from mapsearch.cli.options import EXAMPLE, json_option, storage_option
from mapsearch.cli.output import print_json, print_line, print_next, print_table
from mapsearch.core.verdict import Verdict


@click.command(epilog=EXAMPLE + "mapsearch show digits")
@click.argument("name")
@storage_option
@json_option
def show(name: str, storage: str, as_json: bool) -> None:
    """Show a study: verdict, best mappings, controls, cost."""
    from mapsearch import report
    from mapsearch.api import queries

    study, trials, runs = queries.read(name, storage)
    data = report.study_json(study, trials, runs)
    if as_json:
        print_json(data)
        return
    print_table(report.trials_table(trials, runs, data["metric"], data["direction"]))
    if data["verdict"]:
        print_verdict(Verdict.from_json(data["verdict"]), data["metric"])
    cost = data["cost"]
    n_done = sum(run.state == "complete" for run in runs)
    print_line(
        f"{study.state}: {n_done} of the {len(runs)} runs planned so far are done, "
        f"{cost['device_seconds']:.0f} device seconds, {cost['full_run_equivalents']:.1f} full-run equivalents"
    )
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
