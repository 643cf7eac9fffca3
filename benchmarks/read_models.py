"""What `studies` and `show` cost beside a large finished study: CPU seconds of whole commands, start-up included.

python -m benchmarks.read_models [--trials 10000] [--runs-per-trial 10] [--storage URL] [--quick]

Writes recorded/read-models-DATE.md and .json, unless quick.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from dataclasses import replace
from functools import cache
from pathlib import Path
from statistics import median
from typing import Any

from sqlalchemy import create_engine, insert, select, update

from benchmarks.recording import report_on_database
from mapsearch.core.mapping import LayerMapping, Pair
from mapsearch.core.recipe import Recipe
from mapsearch.core.runs import RunPlan, RunResult, Stage
from mapsearch.core.trials import Trial
from mapsearch.store.rows import result_columns, run_row, trial_row
from mapsearch.store.schema import runs, studies, trials
from mapsearch.store.store import Store

SPEC = {"name": "large", "metric": "accuracy", "direction": "maximize", "train": {"steps": 300}}
RECIPE = Recipe(LayerMapping(tuple(Pair(f"blocks.{s}", f"layers.{s}", 1.0) for s in range(12))), feature_share=0.5)
CONTROLS = ("none", "outputs", "uniform", "last", "first", "reverse", "random", "all")
PARAMS = {"lo": 0.1, "rise": 0.7, "gamma": 1.1, "width": 2.0, "max_teachers": 2, "slope": 0.3, "loss": "nmse"}
CURVE = tuple((step, 1 / (step + 1)) for step in range(40))
NOTE = "term `blocks.3 <- layers.3` has 0.1 % of the gradient"
COMMANDS = (["studies"], ["show", "large"], ["show", "large", "--json", "--limit", "500"], ["show", "large", "--json"])


def fill(url: str, n_trials: int, n_runs: int) -> None:
    """A complete study of so many trials with so many finished runs each.

    Controls, and the best proposals with them, are confirmed. One recipe in ten has mixed rows, one run in
    twenty a note, one in fifty diverged.
    """
    listed = [_trial(number, n_trials) for number in range(n_trials)]
    with Store.open(url) as store:
        store.create_study("large", SPEC, folder="", study_file="")
    engine = create_engine(url, json_serializer=json.dumps)
    with engine.begin() as db:
        study_id = db.scalar(select(studies.c.id).where(studies.c.name == "large"))
        db.execute(insert(trials), [trial_row(study_id, trial) for trial in listed])
        db.execute(insert(runs), [_run_row(study_id, trial, i, n_trials) for trial in listed for i in range(n_runs)])
        db.execute(update(studies).values(state="complete", n_expected=n_trials * n_runs))
    if engine.dialect.name == "postgresql":
        with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as db:
            db.exec_driver_sql("VACUUM ANALYZE")
    engine.dispose()


def _trial(number: int, n_trials: int) -> Trial:
    if number < len(CONTROLS):
        return Trial(number, "control", Recipe(), control=CONTROLS[number], state="complete", value=0.5)
    recipe = replace(RECIPE, aggregation="mix") if number % 10 == 0 else RECIPE
    return Trial(number, "curve", recipe, params=PARAMS, state="complete", value=number / n_trials)


def _run_row(study_id: str, trial: Trial, index: int, n_trials: int) -> dict[str, Any]:
    confirmed = index % 2 == 1 and not len(CONTROLS) <= trial.number < n_trials - 4
    stage: Stage = "confirm" if confirmed else "search"
    rung, n_steps = (2, 300) if confirmed else (0, 45)
    plan = RunPlan(trial.number, trial.recipe, rung, index, stage, "valid", n_steps)
    diverged, noted = (7 * trial.number + index) % 50 == 49, (3 * trial.number + index) % 20 == 19
    ended = {"state": "diverged" if diverged else "complete", "attempt": 1, "value": None if diverged else trial.value}
    is_mixed = trial.recipe.aggregation == "mix" and not diverged
    return {**run_row(study_id, plan), **ended, **_result(index, diverged, noted, is_mixed)}


@cache
def _result(index: int, diverged: bool, noted: bool, is_mixed: bool) -> dict[str, Any]:
    """What a row holds of a run's result; few kinds of them, as each is slow to make."""
    result = RunResult(
        (0, 0, 0),
        "diverged" if diverged else "complete",
        {} if diverged else {"accuracy": 0.5, "loss": 1.0},
        seconds=1.0 + index / 10,
        curve=CURVE,
        scales=(1.0,) * 12,
        mixed_weights=(1 / 12,) * 12 if is_mixed else (),
        gradient_shares=(0.05,) * 12,
        error="term `task` is nan in step 17" if diverged else "",
        notes=(NOTE,) if noted else (),
    )
    return result_columns(result)


def cpu_seconds(command: list[str], url: str, bytecode: str) -> float:
    """User and system time of the command, whose compiled modules lie in the folder `bytecode` after its first time."""
    environment = {**os.environ, "MAPSEARCH_STORAGE": url, "PYTHONPYCACHEPREFIX": bytecode}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-m", "mapsearch", *command], env=environment, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measure(url: str, n_trials: int, n_runs: int, repeats: int) -> dict[str, Any]:
    """CPU seconds of each command on a database that is filled first; in turn, so many times after a first one."""
    fill(url, n_trials, n_runs)
    times: dict[str, list[float]] = {" ".join(command): [] for command in COMMANDS}
    with tempfile.TemporaryDirectory() as bytecode:
        for command in COMMANDS:
            cpu_seconds(command, url, bytecode)
        for _ in range(repeats):
            for command in COMMANDS:
                times[" ".join(command)].append(round(cpu_seconds(command, url, bytecode), 3))
    return {"n_trials": n_trials, "n_runs": n_trials * n_runs, "cpu_seconds": times}


def page(record: dict[str, Any], date: str) -> str:
    """The record as Markdown."""
    rows = [
        f"| `mapsearch {command}` | {median(times):.2f} | {min(times):.2f} .. {max(times):.2f} |"
        for command, times in record["cpu_seconds"].items()
    ]
    where = f"{record['database']}, Python {record['python']}, {record['machine']}"
    return "\n".join(
        [
            f"# Read models, {date}",
            "",
            f"`python -m benchmarks.read_models`: a finished study of {record['n_trials']:,} trials and "
            f"{record['n_runs']:,} runs; {where}.",
            "CPU seconds (user and system) of whole commands, start-up included; the bar is one second.",
            "",
            "| command | median | range |",
            "| --- | ---: | ---: |",
            *rows,
        ]
    )


def main() -> None:
    """Fill a database, measure every command, print the page and record it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--runs-per-trial", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--storage", help="URL of an empty database; a SQLite file in a temporary folder by default")
    parser.add_argument("--quick", action="store_true", help="a smoke test: 20 trials, once, nothing recorded")
    options = parser.parse_args()
    n_trials, repeats = (20, 1) if options.quick else (options.trials, options.repeats)
    with tempfile.TemporaryDirectory() as folder:
        url = options.storage or f"sqlite:///{Path(folder) / 'study.db'}"
        measured = measure(url, n_trials, options.runs_per_trial, repeats)
    report_on_database("read-models", url, measured, page, is_recorded=not options.quick)


if __name__ == "__main__":
    main()
