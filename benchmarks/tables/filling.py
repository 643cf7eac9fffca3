"""Filling a table: settings tuned first, then every mapping, short and full, draw after draw."""

import fcntl
import json
import math
import multiprocessing
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

from benchmarks.tables.maps import every_map, mapping_of, uniform
from benchmarks.tables.pairs import SHORT, Pair
from benchmarks.tables.stacked import stacked_values
from benchmarks.tables.training import COHORT, N_ORDERS, OpenPair, similarities, trained
from mapsearch.core.recipe import Recipe
from mapsearch.core.runs import Split

TUNE_DRAWS = (900, 901)
"""No table has them."""
RUNGS: dict[str, tuple[float, Split]] = {"short": (SHORT, "valid"), "full": (1.0, "test"), "tune": (1.0, "valid")}
"""Part of the schedule, and the samples to measure on: as in a study, the search and the verdict see different ones."""
PLAIN = ("none", "outputs")


def fill_together(opened: OpenPair, pair: Pair, n_draws: int, seconds: float, state: Path, n_processes: int) -> None:
    """Several processes at one table: each with some draws where students are stacked, else each with some rows."""
    context = multiprocessing.get_context("fork")  # torch works with one thread, and the pair is loaded already
    processes = []
    for i in range(n_processes):
        draws, part = (range(i, n_draws, n_processes), (0, 1)) if pair.stacked else (range(n_draws), (i, n_processes))
        processes.append(context.Process(target=fill, args=(opened, pair, draws, seconds, state, part)))
    for process in processes:
        process.start()
    for process in processes:
        process.join()


def fill(
    opened: OpenPair,
    pair: Pair,
    draws: Sequence[int],
    seconds: float,
    state: Path,
    part: tuple[int, int] = (0, 1),
) -> None:
    """Go on with the table in that file until it is full or the time is over; it is written as it grows.

    Args:
        part: `(i, n)`: every n-th row from the i-th on comes first, then whatever is missing.
    """
    table, ends = merged({"runs": {}, "cpu_seconds": 0.0}, state), time.monotonic() + seconds
    before = time.process_time()
    for _ in _work(table, opened, pair, draws, part):
        table["cpu_seconds"] = round(time.process_time() - before, 1)
        before = time.process_time()
        table |= merged(table, state)
        print(f"{sum(map(len, table['runs'].values()))} runs, {table['cpu_seconds']:.0f} CPU seconds", flush=True)
        if time.monotonic() > ends:
            break


def merged(table: dict[str, Any], state: Path) -> dict[str, Any]:
    """The table with what the file has beyond it, which is written there; CPU seconds add up."""
    with state.open("a+", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        found = json.loads(file.read() or '{"runs": {}, "cpu_seconds": 0.0}')
        keys = {*found["runs"], *table["runs"]}
        runs = {key: found["runs"].get(key, {}) | table["runs"].get(key, {}) for key in sorted(keys)}
        seconds = round(found["cpu_seconds"] + table["cpu_seconds"], 1)
        table = table | found | {"runs": runs, "cpu_seconds": seconds}
        file.truncate(0)
        file.write(json.dumps(table, separators=(",", ":")))
    return table


def _work(
    table: dict[str, Any], opened: OpenPair, pair: Pair, draws: Sequence[int], part: tuple[int, int]
) -> Iterator[None]:
    """All that is missing, a piece at a time; the table grows in place."""
    if "tuned" not in table:
        yield from _tuned(table, opened, pair, part)
    recipes = recipes_of(opened, pair, table)
    if "similarity" not in table and part[0] == 0:
        students = {
            "untrained": opened.loaded.new_student(0),
            "trained": trained(opened, recipes["outputs"], N_ORDERS * TUNE_DRAWS[0]),
        }
        table["similarity"] = similarities(opened, students)
        yield
    columns = [f"{rung}/{d}/{o}" for o in range(pair.n_orders) for d in draws for rung in ("short", "full")]
    yield from _columns(table, opened, recipes, columns, part, stacked=pair.stacked)


def _columns(
    table: dict[str, Any],
    opened: OpenPair,
    recipes: dict[str, Recipe],
    columns: Sequence[str],
    part: tuple[int, int],
    *,
    stacked: bool = False,
) -> Iterator[None]:
    """Recipes at the rung and seed of each column `rung/draw/order`, a cohort at a time: first one's own, then all."""
    train, cohort = (partial(stacked_values, opened), None) if stacked else (opened.values, COHORT)
    for rows in (list(recipes)[part[0] :: part[1]], list(recipes)):
        for column in columns:
            rung, draw, order = column.split("/")
            share, split = RUNGS[rung]
            while missing := [name for name in rows if name not in table["runs"].get(column, {})][:cohort]:
                seed = N_ORDERS * int(draw) + int(order)
                found = train([recipes[name] for name in missing], seed, share, split)
                table["runs"].setdefault(column, {}).update(zip(missing, found, strict=True))
                yield


def _tuned(table: dict[str, Any], opened: OpenPair, pair: Pair, part: tuple[int, int]) -> Iterator[None]:
    """The best recipe without outputs, with outputs, and with features under `uniform`; all that was tried stays."""
    columns = [f"tune/{draw}/0" for draw in TUNE_DRAWS]
    plain = {str(recipe): recipe for recipe in pair.plain()}
    yield from _columns(table, opened, plain, columns, part)
    best = {
        name: _best(table, {text: r for text, r in plain.items() if r.uses_outputs == (name == "outputs")})
        for name in PLAIN
    }
    legal = opened.space.legal(best["outputs"].loss, "none")
    even, known = uniform(len(legal), len(legal[0])), every_map(legal, pair.maps)
    mapping = mapping_of(even if even in known else known[-1], opened.space)
    featured = {str(recipe): recipe for recipe in pair.featured(best["outputs"], mapping)}
    yield from _columns(table, opened, featured, columns, part)
    best["features"] = _best(table, featured)
    table |= {
        "metric": opened.spec.metric,
        "direction": opened.spec.direction,
        "steps": opened.spec.train.steps,
    }
    table["tuned"] = {name: recipe.to_json() for name, recipe in best.items()}
    yield


def recipes_of(opened: OpenPair, pair: Pair, table: dict[str, Any]) -> dict[str, Recipe]:
    """What has a row in the table: both controls without features, and every mapping."""
    best = {name: Recipe.from_json(data) for name, data in table["tuned"].items()}
    names = every_map(opened.space.legal(best["features"].loss, best["features"].projector), pair.maps)
    maps = {name: replace(best["features"], mapping=mapping_of(name, opened.space)) for name in names}
    return {name: best[name] for name in PLAIN} | maps


def _best(table: dict[str, Any], recipes: dict[str, Recipe]) -> Recipe:
    """By the mean over the draws of tuning; a run that failed never wins."""
    columns = [table["runs"][f"tune/{draw}/0"] for draw in TUNE_DRAWS]
    means = {text: fmean(column[text] for column in columns) for text in recipes}
    return recipes[max((text for text in recipes if not math.isnan(means[text])), key=means.__getitem__)]
