"""`mapsearch similarity`: how alike the layers are, measured now or read from a file."""

from pathlib import Path

import click

from mapsearch.cli.options import EXAMPLE, json_option, read_study, storage_option
from mapsearch.cli.output import print_json, print_line, print_next, print_table
from mapsearch.core.comparison import Comparison
from mapsearch.core.similarity import Similarity


@click.command(epilog=EXAMPLE + "mapsearch similarity my-study/study.yaml --plot similarity.png")
@click.argument("source", metavar="STUDY.yaml|FILE.json", type=click.Path(path_type=Path))
@storage_option
@json_option
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV, one line per pair of layers.")
@click.option("--plot", type=click.Path(path_type=Path, dir_okay=False), help="Also draw it as PNG or SVG.")
@click.option(
    "--against",
    metavar="FILE.json",
    type=click.Path(path_type=Path),
    help="Compare with an earlier similarity: a file written by --json.",
)
def similarity(
    source: Path, storage: str, as_json: bool, as_csv: bool, plot: Path | None, against: Path | None
) -> None:
    """Measure how similar the layers are, and below which value that is noise.

    A study is measured now; a FILE.json written by --json is shown as it is.
    """
    if as_csv and (as_json or against):
        raise click.ClickException(f"--csv cannot go with {'--json' if as_json else '--against'}; choose one")
    is_study = source.suffix.lower() != ".json"
    spec = read_study(source) if is_study else None
    from mapsearch.report.pictures import require_picture_path
    from mapsearch.similarity.file import read_similarity

    if plot is not None:
        require_picture_path(plot)
    before = read_similarity(against) if against else None
    if spec is None:
        result = read_similarity(source)
    else:
        from mapsearch.api.inspect import similarity_of

        result = similarity_of(spec, storage)
    if before is None:
        _show(result, plot, as_json, as_csv)
    else:
        from mapsearch.similarity.comparison import compare_similarities

        _show_comparison(compare_similarities(before, result), plot, as_json)
    if is_study and not as_json and not as_csv:
        print_next([f"mapsearch run {source}"])


def _show(similarity: Similarity, plot: Path | None, as_json: bool, as_csv: bool) -> None:
    from mapsearch.report import pictures, terminal
    from mapsearch.report import similarity as report

    if plot is not None:
        pictures.plot_similarity(similarity, plot)
    if as_csv:
        click.echo(report.similarity_csv(similarity), nl=False)
    elif as_json:
        print_json(similarity.to_json())
    else:
        print_table(terminal.similarity_table(similarity))
        for line in report.similarity_lines(similarity):
            print_line(line)


def _show_comparison(comparison: Comparison, plot: Path | None, as_json: bool) -> None:
    from mapsearch.report import comparison as report
    from mapsearch.report.pictures import plot_comparison

    if plot is not None:
        plot_comparison(comparison, plot)
    if as_json:
        print_json(comparison.to_json())
    else:
        print_table(report.comparison_table(comparison))
        for line in report.comparison_lines(comparison):
            print_line(line)
