"""Is a search worth its price? A whole study against rivals that spend the same compute on tuning something simpler.

    nice python -m benchmarks.end_to_end PAIR [--seeds 10] [--record benchmarks/recorded]

The study tunes, searches, races and confirms as users run it, with `budget: quick`. What it took is then given to each
of two rivals: recipes without features (`outputs`), and recipes with the mapping `uniform`, drawn at random from the
same losses, shares, rates, weights and temperatures and raced by successive halving. The winners and the study's
nominee and recommendation are trained on draws that nobody has seen, and measured on test data.

Thresholds, written before the first run: against the better of the two rivals on those draws, the nominee HELPS if it
gains at least the study's margin on average and the 95 % interval over draws (Student's t) lies above zero; it HARMS
if that holds the other way round; else the search bought NOTHING that could be shown. One search per pair: the
interval says nothing of other searches.
"""

import argparse
import random
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from benchmarks.machine import machine_name
from benchmarks.recording import record
from benchmarks.tables.analysis import Interval, interval
from benchmarks.tables.maps import mapping_of, uniform
from benchmarks.tables.pairs import PAIRS
from benchmarks.tables.training import N_ORDERS, OpenPair, open_pair
from mapsearch.api.queries import read
from mapsearch.controller.run import run_study
from mapsearch.core.recipe import Recipe
from mapsearch.core.study_file import load_study

RIVALS = ("outputs", "uniform")
STUDY_SEED, RIVAL_DRAW, FRESH_DRAW = 50_000, 1_000_000, 2_000_000
"""Where the draws of each begin; nobody meets another's."""
SHORT, KEPT, N_FINALISTS = 0.3, 0.25, 3
"""A rival's race: the part of the schedule of its first round, which gets half of the compute; the part of the recipes
that go on to one full run; and how many share what is left."""


def study(path: Path, settings: Sequence[str], storage: str) -> dict[str, Any]:
    """Run a study to its end: its nominee, what it recommends, and what it took in full runs."""
    spec = load_study(path, [*settings, "budget=quick", f"seed={STUDY_SEED}"])
    run_study(spec, storage, inline=True)
    found, trials, runs = read(spec.name, storage)
    verdict = found.facts.verdict
    assert verdict is not None
    chosen = {"nominee": verdict.nominee, "recommended": verdict.exported}
    return {
        "recipes": {name: trials[n].recipe for name, n in chosen.items() if n is not None},
        "decision": verdict.decision,
        "full runs": sum(run.n_steps for run in runs) / spec.train.steps,
        "proposals": sum(trial.proposer in ("curve", "free", "move") for trial in trials),
    }


def pool(opened: OpenPair, rival: str, legal_rows: Sequence[Sequence[bool]]) -> list[Recipe]:
    """All recipes that a rival draws from: the study's own choices, with three shares where there are features."""
    space, losses = opened.spec.space, opened.loaded.task.output_form.losses
    plain = [
        Recipe(task_weight=task, output_loss=loss, output_weight=weight, temperature=temperature, lr_factor=rate)
        for task, loss, weight, temperature, rate in product(
            space.task_weight, space.output_loss or losses, space.output_weight, space.temperature, space.lr
        )
    ]
    if rival == "outputs":
        return [*plain, *(Recipe(lr_factor=rate) for rate in space.lr)]
    mapping = mapping_of(uniform(len(legal_rows), len(legal_rows[0])), opened.space)
    low, high = space.feature_share
    return [
        replace(
            recipe, mapping=mapping, loss=loss, projector=space.projector[0], anneal=anneal, feature_share=share,
            share_of=space.share_of,
        )
        for recipe, loss, anneal, share in product(plain, space.loss, space.anneal, (low, (low + high) / 2, high))
    ]  # fmt: skip


def raced(opened: OpenPair, recipes: Sequence[Recipe], full_runs: float) -> Recipe:
    """The winner among recipes drawn at random, for that much compute."""
    n = max(4, int(full_runs / 2 / SHORT))
    drawn = random.Random(0).sample(list(recipes), min(n, len(recipes)))
    left, seeds = full_runs - SHORT * len(drawn), _seeds(RIVAL_DRAW)
    drawn = _best(drawn, opened.values(drawn, next(seeds), SHORT, "valid"), max(4, round(KEPT * len(drawn))))
    left -= len(drawn)
    values = [[value] for value in opened.values(drawn, next(seeds), 1.0, "valid")]
    drawn = _best(drawn, [fmean(v) for v in values], N_FINALISTS)
    sums = np.zeros(len(drawn))
    for _ in range(max(1, int(left / len(drawn)))):
        sums += np.array(opened.values(drawn, next(seeds), 1.0, "valid"))
    return drawn[int(sums.argmax())]


def _best(recipes: Sequence[Recipe], values: Sequence[float], n: int) -> list[Recipe]:
    order = sorted(range(len(recipes)), key=lambda i: -values[i] if values[i] == values[i] else float("inf"))
    return [recipes[i] for i in order[:n]]


def _seeds(draw: int) -> Iterator[int]:
    while True:
        yield N_ORDERS * draw
        draw += 1


def outcome(values: dict[str, list[float]], margin: float) -> tuple[str, str, Interval]:
    """HELPS, HARMS or NOTHING by the thresholds above, the better rival, and the nominee's gain over it."""
    better = max(RIVALS, key=lambda name: fmean(values[name]))
    gain = interval(np.array(values["nominee"]) - np.array(values[better]))
    if gain.mean >= margin and gain.low > 0:
        return "HELPS", better, gain
    return ("HARMS" if gain.mean <= -margin and gain.high < 0 else "NOTHING"), better, gain


def compared(pair: str, settings: Sequence[str], cache: Path, n_seeds: int, budget: float | None) -> dict[str, Any]:
    """All three on one pair, and what they were worth on fresh draws."""
    with tempfile.TemporaryDirectory() as folder:
        found = study(PAIRS[pair].study, settings, f"sqlite:///{folder}/study.db")
    opened = open_pair(PAIRS[pair].study, cache / pair, settings)
    compute = budget or found["full runs"]
    recipes: dict[str, Recipe] = dict(found["recipes"])
    legal = opened.space.legal(opened.spec.space.loss[0], opened.spec.space.projector[0])
    recipes |= {rival: raced(opened, pool(opened, rival, legal), compute) for rival in RIVALS}
    seeds = _seeds(FRESH_DRAW)
    columns = [opened.values(list(recipes.values()), next(seeds), 1.0, "test") for _ in range(n_seeds)]
    values = {name: [column[i] for column in columns] for i, name in enumerate(recipes)}
    margin = opened.spec.margin or 0.0
    word, better, gain = outcome(values, margin)
    return {
        "pair": pair, "metric": opened.spec.metric, "margin": margin, "outcome": word, "better rival": better,
        "gain": gain, "full runs": round(compute, 1), "proposals": found["proposals"], "decision": found["decision"],
        "recipes": {name: str(recipe).replace(" |", ";") for name, recipe in recipes.items()}, "values": values,
    }  # fmt: skip


def page(found: dict[str, Any]) -> str:
    """What one comparison says."""
    lines = ["| who | recipe | mean on fresh draws |", "| --- | --- | ---: |"]
    for name, values in found["values"].items():
        lines.append(f"| {name} | {found['recipes'][name]} | {fmean(values):.4f} |")
    head = (
        f"{found['pair']}: {found['full runs']:g} full runs each, {found['proposals']} proposals, "
        f"{len(found['values']['outputs'])} fresh draws; the study says `{found['decision']}`.\n\n"
        f"{found['outcome']}: nominee minus `{found['better rival']}`, the better of its rivals, "
        f"{Interval(*found['gain'])} (margin {found['margin']:g}, more is better)."
    )
    return "\n".join([head, "", *lines])


def main() -> None:
    """Run, print, and record if asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pair", nargs="?", default="few_vectors", choices=PAIRS, help="the pair (few_vectors)")
    parser.add_argument("--seeds", type=int, default=10, help="fresh draws (10)")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="keys of the study file")
    parser.add_argument("--cache", type=Path, default=Path("mapsearch-cache/tables"), help="folder of trained teachers")
    parser.add_argument("--record", type=Path, help="folder for end-to-end-<pair>.md and .json")
    parser.add_argument("--quick", action="store_true", help="a smoke test: five steps, few proposals, two draws")
    options = parser.parse_args()
    quick = ["train.steps=10", "search.trials=2", "confirm.seeds=4"] if options.quick else []
    seeds, budget = (2, 6.0) if options.quick else (options.seeds, None)
    found = compared(options.pair, [*options.set, *quick], options.cache, seeds, budget)
    text = page(found)
    print(text)
    if options.record:
        date = f"{datetime.now(UTC):%Y-%m-%d}"
        head = f"`python -m benchmarks.end_to_end {options.pair} --seeds {seeds}`, {date}, {machine_name()}."
        record(
            options.record, f"end-to-end-{options.pair}", f"# A whole search and its rivals\n\n{head}\n\n{text}", found
        )


if __name__ == "__main__":
    main()
