"""The comparison of two similarities as sentences and as a table."""

from rich.table import Table

from mapsearch.core.comparison import BestTeacher, Comparison
from mapsearch.core.similarity import Similarity
from mapsearch.report.cell_text import cell_text


def comparison_sentence(comparison: Comparison) -> str:
    """What changed, in one sentence."""
    rho = comparison.rank_correlation
    ranks = "no rank correlation (all values of one are equal)" if rho is None else f"rank correlation {rho:.2f}"
    largest = comparison.largest
    changed = [row for row in comparison.best if row.changed]
    known = any(row.certain is not None for row in changed)
    beyond = f", {sum(bool(row.certain) for row in changed)} beyond the standard errors" if known else ""
    n_students, n_teachers = len(comparison.best), len(comparison.before.teacher_layers)
    return (
        f"{ranks} over {n_students * n_teachers} pairs; largest change {largest.difference:+.2f} at "
        f"{largest.student} ~ {largest.teacher} ({largest.before:.2f} to {largest.after:.2f}); "
        f"the best teacher layer changed for {len(changed)} of {n_students} student layers{beyond}"
    )


def comparison_lines(comparison: Comparison) -> list[str]:
    """What makes the two hard to compare, one per line, and last what changed."""
    return [*(f"note: {note}" for note in comparison.notes), comparison_sentence(comparison)]


def comparison_table(comparison: Comparison) -> Table:
    """The best teacher layer of every student layer, in both similarities."""
    table = Table(title="best teacher layer of each student layer", title_justify="left")
    for name in ("student layer", "before", "after", "changed", "beyond errors"):
        table.add_column(name, overflow="fold")
    for s, row in enumerate(comparison.best):
        table.add_row(
            cell_text(row.student),
            cell_text(_value(comparison.before, s, row.before)),
            cell_text(_value(comparison.after, s, row.after)),
            "yes" if row.changed else "no",
            _certain(row),
        )
    return table


def _value(similarity: Similarity, s: int, teacher: str) -> str:
    t = similarity.teacher_layers.index(teacher)
    error = f" ± {similarity.standard_errors[s][t]:.2g}" if similarity.standard_errors else ""
    return f"{teacher} ({similarity.values[s][t]:.2f}{error})"


def _certain(row: BestTeacher) -> str:
    return {None: "unknown" if row.changed else "-", True: "yes", False: "no"}[row.certain]
