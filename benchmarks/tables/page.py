"""The page that says what the tables say; every sentence with a number is computed."""

from collections.abc import Sequence

import numpy as np

from benchmarks.tables.analysis import (
    chosen_minus,
    depth_scores,
    foretelling,
    interval,
    naive_best_minus,
    parts_of_rest,
    rank_correlation,
    reliability,
    scores,
    shuffled_limit,
    spreads,
)
from benchmarks.tables.maps import uniform
from benchmarks.tables.replay import PROPOSERS, ceiling, gains
from benchmarks.tables.table import Floats, Table

AT = (5, 10)
COPIED = "024"
"""The teacher layers whose weights the students of all pairs start from."""


def page(tables: Sequence[Table], n_turns: int, at: Sequence[int] = AT, n_shuffles: int = 1000) -> str:
    """All sections; `n_turns` searches of each proposer, which end after so many proposals each."""
    both = [part for table in tables for part in (table, unpinned(table))]
    parts = [
        ("What was trained", trained(tables)),
        ("How much mappings differ", differences(tables)),
        ("What the best is worth", worths(tables)),
        ("What foretells a mapping's worth", correlations(both, n_shuffles)),
        ("Searches on the tables", searches(tables, n_turns, at)),
    ]
    return "\n\n".join(f"## {title}\n\n{text}" for title, text in parts)


def trained(tables: Sequence[Table]) -> str:
    """The pairs, their mappings, draws and settings."""
    rows = [
        [
            t.name, str(len(t.maps)), str(len(t.draws)), str(t.orders.shape[1]), f"{t.told['steps']}",
            t.told["metric"], _settings(t), f"{t.told['cpu_seconds']:.0f}",
        ]
        for t in tables
    ]  # fmt: skip
    head = ["pair", "mappings", "draws", "draws in two orders", "full steps", "metric", "settings tuned with `uniform`"]
    return "\n\n".join(
        [table_text([*head, "CPU seconds"], rows), *(engine_sentence(t) for t in tables if len(t.by_engine))]
    )


def engine_sentence(table: Table) -> str:
    """How the stacked students compare with the engine's."""
    same, largest = (table.by_engine == 0).mean(), np.abs(table.by_engine).max()
    return (
        f"{table.name}: all students of a column were trained as one stack (`benchmarks/tables/stacked.py`). "
        f"{len(table.by_engine)} of its runs were trained by the library's engine too: {same:.0%} have the same value, "
        f"the largest difference is {largest:.4f}."
    )


def _settings(table: Table) -> str:
    recipe = table.told["tuned"]["features"]
    of = " of the gradient" if recipe["share_of"] == "gradient" else ""
    return f"{recipe['loss']}, share {recipe['feature_share']:g}{of}, lr x{recipe['lr_factor']:g}"


def unpinned(table: Table) -> Table:
    """The table without the mappings in which the first student layer is taught by the layer that it is a copy of.

    Its loss is zero at the start, and so is its scale but for a floor: the pair holds the layer where it is.
    """
    return table.only([name for name in table.maps if name[0] != COPIED[0]], f"{table.name}, row 0 not from its copy")


def differences(tables: Sequence[Table]) -> str:
    """Standard deviations, and the reliability of the means."""
    rows = []
    for t in (part for table in tables for part in (table, unpinned(table))):
        found = spreads(t.full)
        apart = parts_of_rest(t.orders) if t.orders.shape[1] > 1 else {}
        rest = [f"{apart[key]:.4f}" if apart else "-" for key in ("interaction", "seed")]
        rows.append([t.name, *(f"{found[key]:.4f}" for key in ("mappings", "draws", "rest")), *rest])
        rows[-1] += [f"{reliability(t.full):.2f}", f"{np.ptp(t.full.mean(1)):.4f}"]
    head = ["pair", "sd of mappings", "of draws", "of the rest", "interaction with the draw", "seed alone"]
    return table_text([*head, "reliability of the means", "best to worst mean"], rows)


def worths(tables: Sequence[Table]) -> str:
    """The best, `uniform`, `copied` and the worst against each other, and against the controls without features."""
    rows = []
    for t in tables:
        even = t.full[_uniform_row(t)]
        rows += [
            [t.name, "best, chosen on other draws, - uniform", str(chosen_minus(t.full, even))],
            [t.name, "best, chosen on the same draws, - uniform", f"{naive_best_minus(t.full, even):+.4f}"],
            [t.name, "worst, chosen on other draws, - uniform", str(chosen_minus(t.full, even, worst=True))],
            [t.name, "mean mapping - uniform", str(interval(t.full.mean(0) - even))],
            [t.name, "uniform - outputs", str(interval(even - t.plain["outputs"]))],
            [t.name, "best, chosen on other draws, - outputs", str(chosen_minus(t.full, t.plain["outputs"]))],
            [t.name, "outputs - none", str(interval(t.plain["outputs"] - t.plain["none"]))],
        ]
        rows.append([t.name, "best, chosen on other draws, - none", str(chosen_minus(t.full, t.plain["none"]))])
        if COPIED in t.maps:
            rows.append([t.name, "copied - uniform", str(interval(t.full[t.row(COPIED)] - even))])
    return table_text(["pair", "difference", "mean over draws (95 %)"], rows)


def _uniform_row(table: Table) -> int:
    return table.row(uniform(len(table.maps[0]), table.n_teacher))


def correlations(tables: Sequence[Table], n_shuffles: int) -> str:
    """Rank correlations with the mean full run, of runs and of everything that costs no run."""
    lines: dict[str, list[str]] = {}
    for place, t in enumerate(tables):
        truth = t.full.mean(1)
        even = uniform(len(t.maps[0]), t.n_teacher)
        cells = {
            "one full run of another draw (the ceiling of one run)": f"{foretelling(t.full, t.full):+.2f}",
            "one short run of another draw": f"{foretelling(t.short, t.full):+.2f}",
            "mean of all short runs": f"{rank_correlation(t.short.mean(1), truth):+.2f}",
            "nearness to `uniform`, in layers": f"{rank_correlation(depth_scores(t.maps, even), truth):+.2f}",
            "nearness to `copied`, in layers": f"{rank_correlation(depth_scores(t.maps, COPIED), truth):+.2f}",
        }
        for student, measures in t.similarity.items():
            for measure, values in measures.items():
                own = scores(t.maps, values)
                limit = (
                    f" ({shuffled_limit(t.maps, values, truth, n_shuffles):.2f})" if measure.startswith("cka") else ""
                )
                cells[f"{measure}, student {student}"] = f"{rank_correlation(own, truth):+.2f}{limit}"
        for name, cell in cells.items():
            lines.setdefault(name, ["-"] * len(tables))[place] = cell
    return table_text(["what", *(t.name for t in tables)], [[name, *cells] for name, cells in lines.items()])


def searches(tables: Sequence[Table], n_turns: int, at: Sequence[int]) -> str:
    """What nominees gain over the mean mapping, and over drawing at random without the similarity."""
    rows = []
    for t in tables:
        asked = [n for n in at if n <= len(t.maps) // 2]
        if len(t.draws) < 4 or not asked or not n_turns:
            continue
        blank = ["-"] * (len(at) - len(asked))
        found = {name: gains(t, name, asked, n_turns) for name in PROPOSERS}
        for name, gained in found.items():
            ahead = gained - found["random, no prior"]
            cells = [
                f"{g:+.4f} ({a:+.4f} +- {e:.4f})"
                for g, a, e in zip(gained.mean(0), ahead.mean(0), _errors(ahead), strict=True)
            ]
            rows.append([t.name, name, *cells, *blank])
        known = {"no search: uniform": float(t.full[_uniform_row(t)].mean() - t.full.mean())}
        known["best of all full runs of the draws that a search may see"] = float(ceiling(t, n_turns).mean())
        rows += [[t.name, name, *[f"{value:+.4f}"] * len(asked), *blank] for name, value in known.items()]
    return table_text(["pair", "proposer", *(f"{n} proposals" for n in at)], rows)


def _errors(values: Floats) -> Floats:
    """Standard errors over the draws' turns, which share draws: too small rather than too large."""
    return np.asarray(values.std(0, ddof=min(1, len(values) - 1)) / np.sqrt(len(values)))


def table_text(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
