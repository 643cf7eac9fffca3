"""`mapsearch check`: the preflight."""

from pathlib import Path

import click

from mapsearch.cli.options import EXAMPLE, json_option, read_study, settings_option, storage_option, study_argument
from mapsearch.cli.output import print_json, print_line, print_next, print_table
from mapsearch.core.errors import CheckFailed


@click.command(epilog=EXAMPLE + "mapsearch check my-study/study.yaml")
@study_argument
@settings_option
@storage_option
@json_option
def check(study: Path, settings: tuple[str, ...], storage: str, as_json: bool) -> None:
    """Check on a real batch that everything that should learn can learn, and forecast the cost.

    The table holds what is well and what to heed; errors follow on stderr. With --json all findings are on stdout.
    """
    spec = read_study(study, settings)
    from mapsearch.api.inspect import check_of

    report = check_of(spec, storage)
    if as_json:
        print_json(report.to_json())
        if report.errors:
            raise CheckFailed(f"{study}: the study cannot run: {len(report.errors)} of the findings are errors")
        return
    from mapsearch.check import raise_for_errors
    from mapsearch.report.study import findings_table

    passed = [(f.level, f.topic, f.message) for f in report.findings if f.level != "error"]
    if passed:
        print_table(findings_table(passed))
    if report.forecast:
        print_line(report.forecast)
    raise_for_errors(report)
    print_next([f"mapsearch run {study}"])
