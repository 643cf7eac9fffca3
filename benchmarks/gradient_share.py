"""Is a feature share better one of the loss or one of the gradient? Each against the same recipe without features.

    timeout 1500 python -m benchmarks.gradient_share [--seeds 8] [--record benchmarks/recorded]

Two regimes of `studies/digits/task.py`: `digits`, 100 labels and a small blank student, and `few images`, half of the
teacher's network with its weights and 20 images drawn anew for each seed. Everything but the mapping, which is evenly
spaced, is chosen on the validation data by the first half of the seeds, the learning rate of the recipe without
features too; the table is of the test data and the other half. Differences carry a 95 % t interval over seeds.
"""

import argparse
import sys
import tempfile
from dataclasses import replace
from datetime import UTC, datetime
from itertools import product
from math import sqrt
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import torch
from scipy.stats import t as student_t

from benchmarks.machine import machine_name
from benchmarks.recording import record
from mapsearch.core.mapping import LayerMapping, Pair
from mapsearch.core.recipe import Recipe
from mapsearch.core.runs import RunPlan, RunResult
from mapsearch.core.space import RecipeSpace
from mapsearch.core.task_reference import TaskReference
from mapsearch.core.train_spec import TrainSpec
from mapsearch.distill import distill
from mapsearch.features.layers import choose_layers, list_layers
from mapsearch.tasks.importing import import_task
from mapsearch.tasks.loaded_task import LoadedTask
from mapsearch.tasks.loading import open_task

FOLDER = Path(__file__).parents[1] / "studies" / "digits"
UNIFORM = LayerMapping(tuple(Pair(f"blocks.{s}", f"blocks.{2 * s + 1}", 1.0) for s in range(3)))
REGIMES = {
    "digits": ("Digits", {"labels": 100}, TrainSpec(steps=100, batch_size=64), (5e-3, 2e-2), "linear"),
    "few images": ("FewImages", {"images": 20}, TrainSpec(steps=80, batch_size=20), (3e-5, 1e-4, 3e-4), "none"),
}
"""Task, options, training, learning rates to try, projector."""
SHARES, WEIGHTS = (0.1, 0.5, 0.9), (1.0, 10.0)
WITHOUT = "outputs alone"


def recipes(projector: Any) -> dict[str, list[Recipe]]:
    """Family -> recipes to choose from. The features are tried on top of each weight of the outputs."""
    plain = [Recipe(output_weight=weight, temperature=4.0) for weight in WEIGHTS]
    found = {WITHOUT: [Recipe(), *plain]}
    for share_of in ("loss", "gradient"):
        found[f"share of the {share_of}"] = [
            replace(one, mapping=UNIFORM, projector=projector, feature_share=share, share_of=share_of, anneal=anneal)
            for one, share, anneal in product(plain, SHARES, (None, 1.0))
        ]
    return found


def measure(regime: str, n_seeds: int, steps: int | None) -> dict[str, dict[tuple[int, float], dict[str, list[float]]]]:
    """Family -> (recipe, learning rate) -> `valid` and `test` accuracy by seed."""
    name, options, train, rates, projector = REGIMES[regime]
    families = recipes(projector)
    flat = [(family, i, recipe) for family, own in families.items() for i, recipe in enumerate(own)]
    found: dict[str, dict[tuple[int, float], dict[str, list[float]]]] = {family: {} for family in families}
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(n_seeds):
            print(f"{regime}: seed {seed + 1} of {n_seeds}", file=sys.stderr, flush=True)
            loaded = open_task(import_task(TaskReference(f"task.py:{name}", FOLDER, options, Path(folder))), "cpu")
            space = _space(loaded)
            for rate, split in product(rates, ("valid", "test")):
                at_rate = train.model_copy(update={"lr": rate, "steps": steps or train.steps})
                plans = [
                    RunPlan(i, recipe, 2, seed, "confirm", split, at_rate.steps)  # type: ignore[arg-type]
                    for i, (*_, recipe) in enumerate(flat)
                ]
                for event in distill(loaded, space, at_rate, plans):
                    if isinstance(event, RunResult):
                        family, i, _ = flat[event.key[0]]
                        values = found[family].setdefault((i, rate), {"valid": [], "test": []})
                        values[split].append(event.metrics.get("accuracy", 0.0))
    return found


def _space(loaded: LoadedTask) -> RecipeSpace:
    batch = loaded.task.collate([loaded.valid[i] for i in range(64)])
    student, teacher = (
        choose_layers(name, model, list_layers(model, lambda m: loaded.task.forward(m, batch), 64), ["blocks.*"])
        for name, model in (("student", loaded.new_student(0)), ("teacher", loaded.teacher))
    )
    return RecipeSpace(student, teacher)


def rows(measured: dict[str, dict[tuple[int, float], dict[str, list[float]]]], projector: Any) -> list[dict[str, Any]]:
    """The best of each family by the first half of the seeds, held against the other half."""
    own, chosen = recipes(projector), {}
    for family, tried in measured.items():
        half = len(next(iter(tried.values()))["valid"]) // 2
        best = max(tried, key=lambda key: fmean(tried[key]["valid"][:half]))
        chosen[family] = (own[family][best[0]], best[1], tried[best]["test"][half:])
    reference = chosen[WITHOUT][2]
    return [
        {
            "family": family,
            "recipe": str(recipe),
            "lr": rate,
            "accuracy": fmean(values),
            **_difference(values, reference),
        }
        for family, (recipe, rate, values) in chosen.items()
    ]


def _difference(values: list[float], reference: list[float]) -> dict[str, float]:
    differences = [a - b for a, b in zip(values, reference, strict=True)]
    spread = stdev(differences) if len(differences) > 1 else 0.0
    half = float(student_t.ppf(0.975, max(1, len(differences) - 1))) * spread / sqrt(len(differences))
    return {"difference": fmean(differences), "half": half}


def table(found: list[dict[str, Any]]) -> str:
    """Markdown of one regime."""
    lines = ["| what | accuracy | against outputs alone | chosen | lr |", "| --- | ---: | ---: | --- | ---: |"]
    for row in found:
        gain = "" if row["family"] == WITHOUT else f"{row['difference']:+.4f} +- {row['half']:.4f}"
        lines.append(
            f"| {row['family']} | {row['accuracy']:.4f} | {gain} | {row['recipe'].replace('|', ';')} | {row['lr']:g} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Measure, print, and record if asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=8, help="half of them choose, half of them judge")
    parser.add_argument("--record", type=Path, help="folder for gradient-share-<date>.md and .json")
    parser.add_argument("--quick", action="store_true", help="a smoke test: two seeds of five steps")
    asked = parser.parse_args()
    n_seeds, steps = (2, 5) if asked.quick else (asked.seeds, None)
    torch.set_num_threads(1)
    date, machine = f"{datetime.now(UTC):%Y-%m-%d}", machine_name()
    command = f"python -m benchmarks.gradient_share --seeds {n_seeds}{' --quick' if asked.quick else ''}"
    head = (
        f"`{command}`, {date}, {machine}, torch {torch.__version__}, one thread. Test accuracy of {n_seeds // 2} seeds."
    )
    found = {regime: rows(measure(regime, n_seeds, steps), REGIMES[regime][-1]) for regime in REGIMES}
    parts = [
        f"# Shares of the loss and of the gradient\n\n{head}",
        *(f"## {k}\n\n{table(v)}" for k, v in found.items()),
    ]
    text = "\n\n".join(parts)
    print(text)
    if asked.record:
        record(asked.record, f"gradient-share-{date}", text, {"command": head, "rows": found})


if __name__ == "__main__":
    main()
