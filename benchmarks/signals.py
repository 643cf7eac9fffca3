"""What to rank short runs by where a metric takes few values: itself, the loss, or the distance to the teacher.

    python -m benchmarks.signals PAIR [--draws 6] [--record benchmarks/recorded]

Every mapping of the pair's table (at most forty, drawn at random) is trained on draws of its own: a short run for
each, measured on validation samples by everything there is, and a full one on another draw, measured on test samples
by the metric. A signal is as good as its ranking of short runs agrees with that of the mean full runs.
"""

import argparse
import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from math import sqrt
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import torch.nn.functional as F
from scipy.stats import spearmanr
from torch import Tensor

from benchmarks.machine import machine_name
from benchmarks.recording import RECORDED, record
from benchmarks.tables.maps import mapping_of
from benchmarks.tables.pairs import PAIRS
from benchmarks.tables.table import read_table
from benchmarks.tables.training import N_ORDERS, OpenPair, open_pair
from mapsearch import Task
from mapsearch.core.recipe import Recipe
from mapsearch.core.runs import RunPlan, RunResult, Split
from mapsearch.distill import distill

SHORT = 0.3
"""The part of the schedule of a short run, as in the tables."""
SHORT_DRAW, FULL_DRAW = 700, 800
"""Where the draws of each begin."""
MOST_MAPPINGS = 40

Measured = list[dict[str, float]]
"""All metrics of each mapping's student."""


def with_distances(task: Task, output: Any, batch: Any, teacher_output: Any) -> dict[str, Tensor | float]:
    """The task's metrics, and how far the outputs are from the teacher's."""
    student, teacher = task.outputs(output), task.outputs(teacher_output)
    assert student is not None
    assert teacher is not None
    apart = F.kl_div(student.log_softmax(-1), teacher.log_softmax(-1), reduction="none", log_target=True).sum(-1)
    centred = (outputs - outputs.mean(-1, keepdim=True) for outputs in (student, teacher))
    return {**type(task).metrics(task, output, batch), "kl": apart, "cosine": 1 - F.cosine_similarity(*centred, dim=-1)}


def measured(opened: OpenPair, recipes: Sequence[Recipe], seed: int, part: float, split: Split) -> Measured:
    """All metrics of each recipe's student."""
    n_steps = max(5, round(part * opened.spec.train.steps))
    plans = [RunPlan(i, recipe, 0, seed, "search", split, n_steps) for i, recipe in enumerate(recipes)]
    events = distill(opened.loaded, opened.space, opened.spec.train, plans, opened.worker_state)
    found = {event.key[0]: dict(event.metrics) for event in events if isinstance(event, RunResult)}
    return [found[i] for i in range(len(recipes))]


def signals(pair: str, n_draws: int, cache: Path, most: int) -> dict[str, Any]:
    """Short and full runs of the mappings on so many draws each."""
    opened = open_pair(PAIRS[pair].study, cache / pair)
    task = opened.loaded.task
    task.metrics = partial(with_distances, task)  # type: ignore[method-assign]
    table = read_table(RECORDED / f"tables-{pair}.json")
    names = random.Random(0).sample(table.maps, min(most, len(table.maps)))
    uniform = Recipe.from_json(table.told["tuned"]["features"])
    recipes = [replace(uniform, mapping=mapping_of(name, opened.space).normalised()) for name in names]
    draws = range(n_draws)
    return {
        "metric": opened.spec.metric,
        "mappings": len(names),
        "short": [measured(opened, recipes, N_ORDERS * (SHORT_DRAW + d), SHORT, "valid") for d in draws],
        "full": [measured(opened, recipes, N_ORDERS * (FULL_DRAW + d), 1.0, "test") for d in draws],
    }


def page(pair: str, found: Mapping[str, Any]) -> str:
    """How well each signal ranks."""
    metric, short = found["metric"], found["short"]
    truth = _mean([[student[metric] for student in draw] for draw in found["full"]])
    kinds = fmean(len({student[metric] for student in draw}) for draw in short)
    lines = [
        f"{pair}: {found['mappings']} mappings, {len(short)} draws; in a short run they take {kinds:.0f} values of "
        f"{metric} on average.",
        "",
        f"| signal of a short run | rank correlation with the mean full {metric} | of the mean of all short runs |",
        "| --- | ---: | ---: |",
    ]
    for name in sorted(short[0][0], key=lambda name: name != metric):
        values = [[student[name] for student in draw] for draw in short]
        single = [_agreement(draw, truth) for draw in values]
        error = stdev(single) / sqrt(len(single)) if len(single) > 1 else float("nan")
        lines.append(f"| {name} | {fmean(single):+.2f} +- {error:.2f} | {_agreement(_mean(values), truth):+.2f} |")
    return "\n".join(lines)


def _agreement(values: Sequence[float], truth: Sequence[float]) -> float:
    return float(spearmanr(values, truth).statistic)


def _mean(draws: Sequence[Sequence[float]]) -> list[float]:
    return [fmean(column) for column in zip(*draws, strict=True)]


def main() -> None:
    """Measure, print, and record if asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    pairs = [name for name in PAIRS if name != "pruned_lm"]  # its metric is a loss
    parser.add_argument("pair", nargs="?", default="few_vectors", choices=pairs, help="the pair (few_vectors)")
    parser.add_argument("--draws", type=int, default=6, help="draws of the data (6)")
    parser.add_argument("--cache", type=Path, default=Path("mapsearch-cache/tables"), help="folder of trained teachers")
    parser.add_argument("--record", type=Path, help="folder for signals-<pair>.md and .json")
    parser.add_argument("--quick", action="store_true", help="a smoke test: three mappings, two draws")
    options = parser.parse_args()
    n_draws, most = (2, 3) if options.quick else (options.draws, MOST_MAPPINGS)
    found = signals(options.pair, n_draws, options.cache, most)
    text = page(options.pair, found)
    print(text)
    if options.record:
        head = (
            f"`python -m benchmarks.signals {options.pair} --draws {n_draws}`, {datetime.now(UTC):%Y-%m-%d}, "
            f"{machine_name()}. Of a loss and a distance less is better, of a metric more."
        )
        title = f"# What to rank short runs by\n\n{head}\n\n{text}"
        record(options.record, f"signals-{options.pair}", title, found)


if __name__ == "__main__":
    main()
