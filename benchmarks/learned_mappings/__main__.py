"""Are mappings worth learning while a student trains? Learned ones, frozen and trained with anew, against written ones.

    nice python -m benchmarks.learned_mappings PAIR [--draws 8] [--record benchmarks/recorded]

Two ways to learn `W`, each in one full training of the draw that it is for:

- `attention`: every batch weighs the teacher layers of a student layer by a softmax over scalar products of queries
  and keys, made by small networks of how alike the samples of the batch are at each layer; trained with the student
  on the same loss. Source: Chen et al. 2021, "Cross-layer distillation with semantic calibration"; there, every sample
  has weights of its own, which no frozen mapping can, so here a batch has one.
- `validation`: a softmax of free numbers that follow the gradient of the loss on validation samples after one step
  of the student. Source: Deng et al. 2022, "DistPro"; as there, to first order, so that it is a scalar product of
  gradients.

`W` is the mean over the second half of the training. It is written into a recipe as it is, and with the heaviest
teacher layer of each row alone (`one each`). A new student is trained with either, like with `uniform`, `copied` and
`all`, at the settings that the pair's table was filled with. `validation` alone learns from validation samples; all are
measured on test samples.
"""

import argparse
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.learned_mappings.learning import learned
from benchmarks.machine import machine_name
from benchmarks.recording import RECORDED, record
from benchmarks.tables.analysis import Interval, interval
from benchmarks.tables.maps import mapping_of, uniform
from benchmarks.tables.pairs import PAIRS
from benchmarks.tables.table import read_table
from benchmarks.tables.training import N_ORDERS, OpenPair, open_pair
from mapsearch.core.mapping import LayerMapping
from mapsearch.core.recipe import Recipe

FIRST_DRAW = 3_000_000
"""Where the draws begin; no table and no search meets them."""
LEAST_WEIGHT = 0.02
"""Of a teacher layer in its row: lighter ones are left out of the frozen mapping."""


def mappings(opened: OpenPair, recipe: Recipe, seed: int) -> dict[str, LayerMapping]:
    """What is compared on one draw, by name."""
    space = opened.space
    S, T = len(space.student_layers), len(space.teacher_layers)
    legal = np.array(space.legal(recipe.loss, recipe.projector), dtype=float)
    matrices = {"all": legal}
    for name in ("attention", "validation"):
        weights = learned(opened, recipe, seed, name)
        heaviest = np.arange(T) == weights.argmax(1)[:, None]
        matrices |= {name: np.where(weights >= LEAST_WEIGHT, weights, 0.0), f"{name}, one each": heaviest.astype(float)}
    written = {"uniform": mapping_of(uniform(S, T), space), "copied": mapping_of("024", space)}
    layers = space.student_layers, space.teacher_layers
    return written | {name: LayerMapping.from_matrix(m.tolist(), *layers).normalised() for name, m in matrices.items()}


def compared(pair: str, n_draws: int, cache: Path, settings: list[str]) -> dict[str, Any]:
    """The value of every mapping on each draw, more being better, and its rows, each summing to one."""
    opened = open_pair(PAIRS[pair].study, cache / pair, settings)
    tuned = Recipe.from_json(read_table(RECORDED / f"tables-{pair}.json").told["tuned"]["features"])
    values, rows = dict[str, list[float]](), dict[str, list[list[list[float]]]]()
    for draw in range(FIRST_DRAW, FIRST_DRAW + n_draws):
        tried = mappings(opened, tuned, N_ORDERS * draw)
        recipes = [replace(tuned, mapping=mapping) for mapping in tried.values()]
        measured = opened.values(recipes, N_ORDERS * draw, 1.0, "test")
        for (name, mapping), value in zip(tried.items(), measured, strict=True):
            values.setdefault(name, []).append(value)
            rows.setdefault(name, []).append(_rows(mapping, opened))
    return {"pair": pair, "metric": opened.spec.metric, "values": values, "rows": rows}


def _rows(mapping: LayerMapping, opened: OpenPair) -> list[list[float]]:
    weights = np.array(mapping.matrix(opened.space.student_layers, opened.space.teacher_layers))
    return [[round(float(w), 3) for w in row] for row in weights / weights.sum(1, keepdims=True)]


def page(found: dict[str, Any]) -> str:
    """What one pair says."""
    values = {name: np.array(column) for name, column in found["values"].items()}
    lines = ["| mapping | mean | minus `uniform` | weights |", "| --- | ---: | ---: | --- |"]
    for name, column in values.items():
        gain: Interval | str = "" if name == "uniform" else interval(column - values["uniform"])
        rows = np.array(found["rows"][name]).mean(0)
        weights = "; ".join(" ".join(f"{100 * w:.0f}" for w in row) for row in rows)
        lines.append(f"| {name} | {column.mean():.4f} | {gain} | {weights} |")
    n_draws = len(values["uniform"])
    head = (
        f"{found['pair']}: {found['metric']} on test data, more is better, {n_draws} draws, 95 % intervals over them."
    )
    return "\n".join([head, "", *lines])


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pair", nargs="?", choices=PAIRS, default="few_vectors", help="the pair (few_vectors)")
    parser.add_argument("--draws", type=int, default=8, help="of the data (8)")
    parser.add_argument("--cache", type=Path, default=Path("mapsearch-cache/tables"), help="folder of trained teachers")
    parser.add_argument("--record", type=Path, help="folder for learned-mappings-<pair>.md and .json")
    parser.add_argument("--quick", action="store_true", help="a smoke test: ten steps, two draws")
    options = parser.parse_args()
    torch.set_num_threads(1)
    n_draws, settings = (2, ["train.steps=10"]) if options.quick else (options.draws, [])
    found = compared(options.pair, n_draws, options.cache, settings)
    text = page(found)
    print(text)
    if options.record:
        date = f"{datetime.now(UTC):%Y-%m-%d}"
        head = f"`python -m benchmarks.learned_mappings {options.pair} --draws {n_draws}`, {date}, {machine_name()}."
        text = f"# Learned mappings and written ones\n\n{head}\n\n{text}"
        record(options.record, f"learned-mappings-{options.pair}", text, found)


if __name__ == "__main__":
    main()
