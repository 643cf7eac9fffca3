"""Do other aggregations and balances help? Each against summed pairs with frozen scales, paired by seed.

    timeout 900 python -m benchmarks.balance [--seeds 8] [--steps 100] [--lr 0.003] [--record benchmarks/recorded]

The study is `studies/digits` with 100 labels: every student layer has two teacher layers of one shape, equally
weighted. Differences carry a 95 % t interval over seeds; of so many comparisons one in twenty is chance.
"""

import argparse
import sys
import tempfile
from dataclasses import replace
from datetime import UTC, datetime
from itertools import product
from math import sqrt
from pathlib import Path
from statistics import fmean, median, stdev
from typing import Any

import torch
from scipy.stats import t as student_t

from benchmarks.machine import machine_name
from benchmarks.recording import record
from mapsearch.core.execution import Execution
from mapsearch.core.mapping import LayerMapping, Pair
from mapsearch.core.recipe import Recipe
from mapsearch.core.runs import RunPlan, RunResult
from mapsearch.core.space import RecipeSpace
from mapsearch.core.study_file import load_study
from mapsearch.distill import distill
from mapsearch.features.layers import choose_layers, list_layers
from mapsearch.tasks.loaded_task import LoadedTask
from mapsearch.tasks.loading import load_task
from mapsearch.tasks.training_batches import train_batches

STUDY = Path(__file__).parents[1] / "studies" / "digits" / "study.yaml"
PAIRS = tuple(Pair(f"blocks.{s}", f"blocks.{t}", 1.0) for s in range(3) for t in (2 * s, 2 * s + 1))
REFERENCE = "sum frozen"


def recipes() -> dict[str, dict[str, Recipe]]:
    """Regime -> name -> recipe: features alone, and features beside well-tuned logits."""
    found: dict[str, dict[str, Recipe]] = {}
    for regime, output_weight in (("features only", 0.0), ("features and logits", 10.0)):
        plain = Recipe(output_weight=output_weight, temperature=2.0)
        found[regime] = {"no features": plain}
        if plain.uses_outputs:
            found[regime]["no features, uncertainty"] = replace(plain, balance="uncertainty")
            for factor in (3, 10, 30):
                found[regime][f"no features, logits x{factor}"] = replace(plain, output_weight=factor * output_weight)
        for aggregation, balance in product(("sum", "fuse", "mix"), ("frozen", "uncertainty", "gate")):
            found[regime][f"{aggregation} {balance}"] = Recipe(
                LayerMapping(PAIRS), feature_share=0.5, output_weight=output_weight, temperature=2.0,
                aggregation=aggregation, balance=balance,
            )  # fmt: skip
    return found


def measure(n_seeds: int, steps: int, lr: float) -> dict[str, dict[str, list[RunResult]]]:
    """Every recipe on every seed; the recipes of a seed are one cohort."""
    torch.set_num_threads(1)
    spec = load_study(STUDY)
    train = spec.train.model_copy(update={"steps": steps, "lr": lr})
    with tempfile.TemporaryDirectory() as folder:
        loaded = load_task(spec.task_reference(Path(folder)), Execution(devices="cpu"))
    space = _space(loaded)
    names = [(regime, name, recipe) for regime, own in recipes().items() for name, recipe in own.items()]
    results: dict[str, dict[str, list[RunResult]]] = {}
    for seed in range(n_seeds):
        print(f"seed {seed + 1} of {n_seeds}: {len(names)} runs of {steps} steps", file=sys.stderr, flush=True)
        plans = [RunPlan(i, recipe, 2, seed, "confirm", "test", steps) for i, (*_, recipe) in enumerate(names)]
        for event in distill(loaded, space, train, plans):
            if isinstance(event, RunResult):
                regime, name, _ = names[event.key[0]]
                results.setdefault(regime, {}).setdefault(name, []).append(event)
    return results


def _space(loaded: LoadedTask) -> RecipeSpace:
    batch = next(train_batches(loaded, 64, 0, 1))
    student, teacher = (
        choose_layers(name, model, list_layers(model, lambda m: loaded.task.forward(m, batch), 64), ["blocks.*"])
        for name, model in (("student", loaded.new_student(0)), ("teacher", loaded.teacher))
    )
    wanted = {f"blocks.{i}" for i in range(6)}
    return RecipeSpace(*(tuple(x for x in layers if x.path in wanted) for layers in (student, teacher)))


def compare(runs: list[RunResult], reference: list[RunResult]) -> dict[str, Any]:
    """One row: accuracy with its spread over seeds, the paired difference with its interval, the time."""
    failed = [run.error for run in runs if run.state != "complete"]
    if failed:
        return {"failed": failed}
    values, others = ([run.metrics["accuracy"] for run in some] for some in (runs, reference))
    differences = [a - b for a, b in zip(values, others, strict=True)]
    half = float(student_t.ppf(0.975, len(values) - 1)) * stdev(differences) / sqrt(len(values))
    mixed = [run.mixed_weights for run in runs if run.mixed_weights]
    return {
        "accuracy": fmean(values),
        "sd": stdev(values),
        "difference": fmean(differences),
        "low": fmean(differences) - half,
        "high": fmean(differences) + half,
        "time": median(run.seconds / other.seconds for run, other in zip(runs, reference, strict=True)),
        "mixed_weights": [fmean(column) for column in zip(*mixed, strict=True)],
        "notes": runs[0].notes,
    }


def table(rows: dict[str, dict[str, Any]]) -> str:
    """Markdown of one regime."""
    lines = [
        "| terms | accuracy (sd) | against `sum frozen` | 95 % interval | time |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name, row in rows.items():
        if "failed" in row:
            lines.append(f"| {name} | failed: {row['failed'][0]} | | | |")
            continue
        mark = " *" if row["low"] > 0 or row["high"] < 0 else ""
        lines.append(
            f"| {name} | {row['accuracy']:.4f} ({row['sd']:.4f}) | {row['difference']:+.4f}{mark} "
            f"| {row['low']:+.4f} .. {row['high']:+.4f} | {row['time']:.2f}x |"
        )
    return "\n".join(lines)


def main() -> None:
    """Measure, print, and record if asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--lr", type=float, default=3e-3)
    parser.add_argument("--record", type=Path, help="folder for balance-<date>-lr<lr>.md and .json")
    parser.add_argument("--quick", action="store_true", help="a smoke test: two seeds of five steps")
    asked = parser.parse_args()
    if asked.quick:
        asked.seeds, asked.steps = 2, 5
    results = measure(asked.seeds, asked.steps, asked.lr)
    rows = {
        regime: {name: compare(runs, own[REFERENCE]) for name, runs in own.items()} for regime, own in results.items()
    }
    date, machine = f"{datetime.now(UTC):%Y-%m-%d}", machine_name()
    command = f"python -m benchmarks.balance --seeds {asked.seeds} --steps {asked.steps} --lr {asked.lr:g}"
    head = (
        f"`{command}`, {date}, {machine}, torch {torch.__version__}, one thread. "
        "Test accuracy; * marks an interval without zero."
    )
    text = "\n\n".join(
        [f"# Aggregation and balance on digits\n\n{head}", *(f"## {k}\n\n{table(v)}" for k, v in rows.items())]
    )
    print(text)
    if asked.record:
        numbers = {"command": head, "pairs": [p[:2] for p in PAIRS], "rows": rows}
        record(asked.record, f"balance-{date}-lr{asked.lr:g}", text, numbers)


if __name__ == "__main__":
    main()
