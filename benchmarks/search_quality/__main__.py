"""How far from the best recipe a search ends: every proposer on planted landscapes, with the race of the product.

    python -m benchmarks.search_quality [--replicates 12] [--minutes 15] [--state FILE] [--record benchmarks/recorded]

Regret is the best recipe's worth minus the nominee's, true values both; the best is worth 1. `--state` keeps what was
replayed: the same command goes on with it.
"""

import argparse
import json
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from math import sqrt
from pathlib import Path
from statistics import fmean, stdev

from benchmarks.machine import machine_name
from benchmarks.recording import record
from benchmarks.search_quality.landscapes import Kind, Landscape, SimilarityKind
from benchmarks.search_quality.replay import AT, Propose, controls, cost, regrets, regrets_of_replicated_controls
from benchmarks.search_quality.rivals import OnNumbers, evolution, gaussian_process, mixture, tpe
from benchmarks.search_quality.static_maps import STATIC, regrets_of_static
from mapsearch.proposers.model_search import propose_by_model
from mapsearch.proposers.random_search import propose_random

DEFAULT, REPLICATED = "model", "replicated controls"
Block = tuple[Kind, int, int, SimilarityKind, float]
Values = dict[str, dict[str, list[float]]]
"""Landscape -> proposer and instance -> regrets."""

MAIN: list[Block] = [
    ("curve", 6, 12, "uninformative", 0.1),
    ("arbitrary", 3, 6, "uninformative", 0.1),
    ("two far teachers", 6, 12, "uninformative", 0.1),
    ("single pair", 6, 12, "uninformative", 0.1),
    ("curve", 6, 12, "uninformative", 0.3),
]
MORE: list[Block] = [
    ("arbitrary", 6, 12, "uninformative", 0.1),
    ("two far teachers, arbitrary", 6, 12, "uninformative", 0.1),
    ("curve", 6, 12, "right", 0.1),
    ("curve", 6, 12, "inverted", 0.1),
    ("curve", 3, 6, "uninformative", 0.1),
    ("curve", 12, 24, "uninformative", 0.1),
    ("curve", 6, 12, "uninformative", 0.03),
    ("arbitrary", 6, 12, "right", 0.1),
    ("arbitrary", 6, 12, "inverted", 0.1),
    ("arbitrary", 12, 24, "uninformative", 0.1),
    ("two far teachers", 3, 6, "uninformative", 0.1),
    ("two far teachers", 12, 24, "uninformative", 0.1),
    ("single pair", 3, 6, "uninformative", 0.1),
    ("arbitrary", 6, 12, "uninformative", 0.3),
    ("two far teachers", 6, 12, "uninformative", 0.3),
]
BARS: dict[int, float] = {0: 0.15, 1: 0.16, 2: 0.5}
"""Largest regret that was asked for after 40 proposals, by place among the main landscapes."""


def propose(name: str) -> Propose:
    """A fresh proposer of that name."""
    if name in ("tpe", "gp"):
        return OnNumbers(tpe) if name == "tpe" else OnNumbers(gaussian_process, free=False)
    return {DEFAULT: propose_by_model, "random": propose_random, "mixture": mixture, "evolution": evolution}[name]


RIVALS = ("random", "mixture", "evolution", "tpe", "gp", *STATIC)


def replay(block: Block, name: str, instance: int) -> list[float]:
    """The regrets of one search."""
    landscape = Landscape(*block, instance)
    if name in STATIC:
        return regrets_of_static(landscape, name)
    return regrets_of_replicated_controls(landscape) if name == REPLICATED else regrets(landscape, propose(name))


def fill(values: Values, blocks: Sequence[Block], names: Sequence[str], n: int, seconds: float, state: Path) -> None:
    """Replay what is missing, one instance of everything after the other, as long as there is time."""
    began = time.monotonic()
    for instance in range(n):
        for block in blocks:
            row = values.setdefault(title(block), {})
            for name in (REPLICATED, DEFAULT, *names):
                if time.monotonic() - began > seconds:
                    return
                key = f"{name}/{instance}"
                if key not in row:
                    row[key] = replay(block, name, instance)
            state.write_text(json.dumps(values), encoding="utf-8")


def title(block: Block) -> str:
    """A landscape's name."""
    kind, n_student, n_teacher, similarity, noise = block
    return f"{kind}; {n_student}, {n_teacher}; {similarity}; {noise:g}"


def own(row: dict[str, list[float]], name: str) -> dict[str, list[float]]:
    """What a proposer came to, by instance."""
    return {key.rpartition("/")[2]: found for key, found in row.items() if key.rpartition("/")[0] == name}


def mean_and_error(numbers: Sequence[float]) -> str:
    """`0.17 +- 0.01`."""
    return f"{fmean(numbers):.2f} +- {stdev(numbers) / sqrt(len(numbers)) if len(numbers) > 1 else float('nan'):.2f}"


def page(values: Values, names: Sequence[str]) -> str:
    """The regrets, and whether the default loses to anybody."""
    shown = (DEFAULT, REPLICATED, *names)
    lines = [
        f"| landscape; S, T; similarity; noise | searches | {' | '.join(shown)} | default loses to |",
        f"|---|---|{'---|' * (len(shown) + 1)}",
    ]
    for place, row in values.items():
        cells = [mean_and_error([r[-1] for r in found.values()]) if (found := own(row, n)) else "-" for n in shown]
        losses = "; ".join(filter(None, (loss(row, name) for name in shown[1:]))) or "nobody"
        lines.append(f"| {place} | {len(own(row, DEFAULT))} | {' | '.join(cells)} | {losses} |")
    return "\n".join(lines)


def loss(row: dict[str, list[float]], rival: str) -> str:
    """By how much the default is worse on the same instances, where that is more than its standard error."""
    ours, theirs = own(row, DEFAULT), own(row, rival)
    differences = [ours[i][-1] - theirs[i][-1] for i in ours.keys() & theirs.keys()]
    if len(differences) < 2 or fmean(differences) <= stdev(differences) / sqrt(len(differences)):
        return ""
    return f"{rival} by {mean_and_error(differences)}"


def bars(values: Values) -> str:
    """The bars that were set beforehand, and what was reached."""
    lines = ["| bar: regret of the default at 40 proposals | asked for | found |", "|---|---|---|"]
    for at, most in BARS.items():
        found = own(values.get(title(MAIN[at]), {}), DEFAULT)
        if found:
            lines.append(f"| {title(MAIN[at])} | {most:g} | {mean_and_error([r[-1] for r in found.values()])} |")
    return "\n".join(lines)


def along_the_way(values: Values) -> str:
    """The default's regret and the full-run equivalents after fewer proposals."""
    n = len(controls(Landscape(*MAIN[0], 0)))
    costs = " | ".join(f"{at} proposals, {cost(n, at):.1f} full runs" for at in AT)
    lines = [f"| landscape | {costs} |", f"|---|{'---|' * len(AT)}"]
    for place, row in values.items():
        found = list(own(row, DEFAULT).values())
        if found:
            lines.append(f"| {place} | {' | '.join(mean_and_error([r[i] for r in found]) for i in range(len(AT)))} |")
    return "\n".join(lines)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--replicates", type=int, default=12, help="searches of each kind (12)")
    parser.add_argument("--minutes", type=float, default=15.0, help="stop after so many and report (15)")
    parser.add_argument("--only", nargs="+", choices=RIVALS, default=RIVALS, help="the rivals of the default")
    parser.add_argument("--main", action="store_true", help="the landscapes with bars alone")
    parser.add_argument("--state", type=Path, default=Path("search-quality.json"), help="what was replayed so far")
    parser.add_argument("--record", type=Path, help="folder to write the record into")
    parser.add_argument("--quick", action="store_true", help="a smoke test: one landscape, one search, cheap rivals")
    options = parser.parse_args()
    blocks, names, n = (MAIN if options.main else [*MAIN, *MORE]), tuple(options.only), options.replicates
    if options.quick:
        blocks, names, n = MAIN[1:2], ("random", "mixture"), 1
    resumes = options.state.exists() and not options.quick
    values: Values = json.loads(options.state.read_text(encoding="utf-8")) if resumes else {}
    fill(values, blocks, names, n, 60 * options.minutes, options.state)
    when = datetime.now(UTC).date().isoformat()
    text = (
        f"# How far from the best recipe a search ends ({when})\n\n"
        f"`python -m benchmarks.search_quality` on {machine_name()}. Regret after 40 proposals, mean and standard "
        "error over planted instances; `default loses to` compares instance by instance.\n\n"
        f"{page(values, names)}\n\n{bars(values)}\n\nThe default along the way:\n\n{along_the_way(values)}"
    )
    print(text)
    if options.record:
        record(options.record, f"search-quality-{when}", text, values)


if __name__ == "__main__":
    main()
