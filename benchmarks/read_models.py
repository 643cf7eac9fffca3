"""What `studies` and `show` cost beside a large study: CPU seconds of whole commands, start-up included.

python -m benchmarks.read_models [--trials 5000] [--runs-per-trial 10] [--quick]
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from mapsearch.core.mapping import LayerMapping, Pair
from mapsearch.core.recipe import Recipe
from mapsearch.core.runs import RunPlan, RunResult
from mapsearch.core.trials import Trial
from mapsearch.store.store import Store

SPEC = {"name": "large", "metric": "accuracy", "direction": "maximize", "train": {"steps": 300}}
RECIPE = Recipe(LayerMapping(tuple(Pair(f"blocks.{s}", f"layers.{s}", 1.0) for s in range(12))), feature_share=0.5)
COMMANDS = (["studies"], ["show", "large"], ["show", "large", "--json", "--limit", "500"], ["show", "large", "--json"])


def fill(url: str, n_trials: int, n_runs: int) -> None:
    """A study of so many trials with so many runs each, under way; about 2,000 of them, spread evenly, are complete."""
    with Store.open(url) as store:
        store.create_study("large", SPEC, folder="", study_file="")
        with store.control("large") as study:
            controls = [Trial(0, "control", Recipe(), control="outputs", state="complete", value=0.5)]
            curves = [Trial(n, "curve", RECIPE, state="complete", value=n / n_trials) for n in range(1, n_trials)]
            study.add_trials(controls + curves)
            plans = [RunPlan(n, RECIPE, 0, s, "search", "valid", 45) for n in range(n_trials) for s in range(n_runs)]
            study.plan_runs(plans)
            study.start_runs(plans, "worker")
            curve = tuple((step, 1.0) for step in range(40))
            for plan in plans[:: max(1, len(plans) // 2000)]:
                result = RunResult(plan.key, "complete", {"accuracy": 0.5}, seconds=1.0, curve=curve)
                study.finish_run(result, 0.5)


def cpu_seconds(command: list[str], url: str) -> float:
    """User and system time of the command."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = {**os.environ, "MAPSEARCH_STORAGE": url}
    subprocess.run(
        [sys.executable, "-m", "mapsearch", *command], env=environment, check=True, stdout=subprocess.DEVNULL
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Fill a database and print a line per command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=5000)
    parser.add_argument("--runs-per-trial", type=int, default=10)
    parser.add_argument("--quick", action="store_true", help="a smoke test: 20 trials")
    options = parser.parse_args()
    n_trials = 20 if options.quick else options.trials
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder) / 'study.db'}"
        fill(url, n_trials, options.runs_per_trial)
        for command in COMMANDS:
            print(f"{' '.join(command)}: {cpu_seconds(command, url):.2f} CPU s")


if __name__ == "__main__":
    main()
