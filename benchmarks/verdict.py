"""How often a verdict is wrong, how often it decides, and what it costs: simulated studies through the real procedure.

    timeout 900 python -m benchmarks.verdict [--studies 2000] [--record benchmarks/recorded]

Unit: the standard deviation of one recipe over seeds; two recipes correlate by 0.5 over seeds, so that their difference
has the same standard deviation. `none` is 8 below, with three times the noise; margin 1. Each world draws the noise of
all recipes from another distribution; a study is extended five times wherever a question is open.
"""

import argparse
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from math import sqrt
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.machine import machine_name
from benchmarks.recording import record
from mapsearch.core.looks import LOOKS
from mapsearch.verdict.looks import C_TIE, C
from mapsearch.verdict.questions import NONE, OUTPUTS, UNIFORM, Answers, answer

Noise = Callable[[np.random.Generator, int], NDArray[np.float64]]

N_MAX, EXTENSIONS = 14, (18, 23, 30, 39, 50)
SEEDS = list(range(EXTENSIONS[-1]))


def _skewed(rng: np.random.Generator, n: int) -> NDArray[np.float64]:
    return np.asarray(rng.exponential(size=n) - 1.0)


def _with_failures(rng: np.random.Generator, n: int) -> NDArray[np.float64]:
    """One seed in twenty ends six standard deviations below; the mean is zero."""
    return np.asarray(rng.standard_normal(n) - 6.0 * (rng.random(n) < 0.05) + 0.3)


WORLDS: dict[str, Noise] = {
    "normal": lambda rng, n: rng.standard_normal(n),
    "heavy tails (t, 3 degrees)": lambda rng, n: rng.standard_t(3, n) / sqrt(3),
    "skewed": _skewed,
    "one bad seed in twenty": _with_failures,
}
STEPS = {"a fine metric": 0.0, "400 samples (steps of 0.5)": 0.5}


def study(rng: np.random.Generator, noise: Noise, gain: float, step: float) -> dict[str, dict[int, float]]:
    """The metric of every recipe on every fresh seed; the nominee is `gain` above `outputs` and `uniform`."""
    levels, n = {"nominee": gain, "none": -8.0, "outputs": 0.0, "uniform": 0.0}, len(SEEDS)
    common = noise(rng, n)
    values = {}
    for name, level in levels.items():
        own = (common + noise(rng, n)) / sqrt(2) * (3 if name == "none" else 1)
        row = level + own
        values[name] = dict(enumerate((np.round(row / step) * step if step else row).tolist()))
    return values


def follow(full: Mapping[str, Mapping[int, float]], n_max: int) -> tuple[Answers, int]:
    """The answers when only what is asked for is run, and how many runs that took."""
    values: dict[str, dict[int, float]] = {name: {} for name in full}
    while True:
        answers = answer(values, SEEDS, 1.0, n_max)
        if not answers.wanted:
            return answers, sum(map(len, values.values()))
        for name, n in answers.wanted.items():
            values[name] = {seed: full[name][seed] for seed in SEEDS[:n]}


def row(world: str, step: str, gain: float, n_studies: int) -> dict[str, Any]:
    """Rates over so many studies of one kind."""
    rng = np.random.default_rng([seed_of(world), seed_of(step), round(10 * gain)])
    outcomes, extended, runs, covered, false_ties = [], [], [], [], []
    for _ in range(n_studies):
        full = study(rng, WORLDS[world], gain, STEPS[step])
        answers, n_runs = follow(full, N_MAX)
        outcomes.append(answers.outcome(OUTPUTS))
        runs.append(n_runs)
        covered.append(answers.looks[OUTPUTS].low <= gain <= answers.looks[OUTPUTS].high)
        false_ties.append(gain >= 1.0 and answers.outcome(OUTPUTS) == "TIES")
        extended.append(any(_beats(follow(full, n)[0]) for n in (N_MAX, *EXTENSIONS)) if gain == 0 else False)
    return {
        "world": world,
        "metric": step,
        "gain": gain,
        "beats": fmean(outcome == "BEATS" for outcome in outcomes),
        "ties": fmean(outcome == "TIES" for outcome in outcomes),
        "worse": fmean(outcome == "WORSE" for outcome in outcomes),
        "covered": fmean(covered),
        "false ties": fmean(false_ties),
        "beats after five extensions": fmean(extended) if gain == 0 else None,
        "runs": fmean(runs),
    }


def _beats(answers: Answers) -> bool:
    """Whether anything is called a win that is none: here the nominee only beats `none`."""
    return any(answers.outcome(question) == "BEATS" for question in (OUTPUTS, UNIFORM))


def seed_of(text: str) -> int:
    """A number that is the same on every machine."""
    return int.from_bytes(text.encode(), "big") % (2**31)


def null_paths(n_paths: int) -> list[dict[str, float]]:
    """Share of normal paths without a gain that were ever called a win (a side) by each look, beside what is spent."""
    rng, ever, ever_tie, rows = np.random.default_rng(0), np.zeros(n_paths, bool), np.zeros(n_paths, bool), []
    paths = rng.standard_normal((n_paths, 50))
    for n in (n for n in LOOKS if n <= 50):
        t = paths[:, :n].mean(1) / (paths[:, :n].std(1, ddof=1) / sqrt(n))
        ever |= t > C[n]
        ever_tie |= t > C_TIE[n]
        spent = 1 - 3.5 / n
        rows.append(
            {
                "look": n,
                "won": float(ever.mean()),
                "allowed": 0.025 * spent,
                "tie bound": float(ever_tie.mean()),
                "tie allowed": 0.05 * spent,
            }
        )
    return rows


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Markdown."""
    names = list(rows[0])
    lines = [f"| {' | '.join(names)} |", f"|{' --- |' * len(names)}"]
    lines += [f"| {' | '.join(_cell(row[name]) for name in names)} |" for row in rows]
    return "\n".join(lines)


def _cell(value: Any) -> str:
    return "" if value is None else f"{value:.3g}" if isinstance(value, float) else str(value)


def main() -> None:
    """Simulate, print, and record if asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=2000, help="simulated studies of each kind")
    parser.add_argument("--record", type=Path, help="folder for verdict-<date>.md and .json")
    parser.add_argument("--quick", action="store_true", help="a smoke test: 20 studies of each kind")
    asked = parser.parse_args()
    n_studies = 20 if asked.quick else asked.studies
    date = f"{datetime.now(UTC):%Y-%m-%d}"
    rows = [
        row(world, step, gain, n_studies)
        for world in WORLDS
        for step in STEPS
        for gain in (0.0, 0.5, 1.0, 2.0)
        if step == "a fine metric" or world == "normal"
    ]
    paths = null_paths(100 * n_studies)
    command = f"python -m benchmarks.verdict --studies {n_studies}"
    head = f"`{command}`, {date}, {machine_name()}. `{NONE[1]}` is beaten by 8 in all studies; at most {N_MAX} seeds."
    parts = ["# The verdict, simulated", head, "## Against `outputs`", table(rows), "## Null paths", table(paths)]
    text = "\n\n".join(parts)
    print(text)
    if asked.record:
        record(asked.record, f"verdict-{date}", text, {"command": head, "rows": rows, "null_paths": paths})


if __name__ == "__main__":
    main()
