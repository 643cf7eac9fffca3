"""Trials per hour of the engine, against the loop one would write with Optuna, and against students without a teacher.

    python -m benchmarks.throughput            # writes benchmarks/recorded/throughput-DATE.{json,md,png}
    python -m benchmarks.throughput --quick    # about a minute, of the main table only

Each way of training is repeated, interleaved with the others in one process, and medians are compared.
CPU time of the process is what to read on a shared machine, wall time on a GPU. A trial is one student
of 150,000 parameters trained with batches of 64 and measured on 256 samples; its recipe is logits, or
logits and one pair of blocks (nmse, a linear projector).

- plain: one trial at a time in an Optuna study; hooks on all blocks of both networks; the teacher runs in every step
- live: a cohort of K students; the teacher runs once per batch
- cached: the same with the teacher's outputs for all samples cached before the clock starts
- launched: that without CUDA graphs, where there is a GPU
- limit: the same students with the same batch size, optimizer, schedule and clipping, the task loss alone, no teacher
- limit, channels last: that with the students' memory laid out as the engine does it; others are as their author wrote

A limit has no losses to pay for. What would be left of it if every operation took the same time is in the columns
`cached, by operations` and `live, by operations`: the floating-point operations of a step of the limit over those of a
step with the recipe's projector and, live, with its part of the teacher's pass. A large teacher computes faster per
operation than a small student, so that more can be left.
"""

import argparse
import json
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import date
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.machine import machine_name
from benchmarks.ways import BATCH, N_TRAIN, SIDE, TEACHERS, Images, Setting, engine, limit, plain, setting
from mapsearch import RecipeLoss
from mapsearch.core.runs import RunPlan
from mapsearch.distill import WorkerState, distill, open_worker_state
from mapsearch.features.taps import FeatureTaps

ROWS = (
    ("1.5M teacher", "logits", 0),
    ("1.5M teacher", "logits, one pair", 1),
    ("teacher of ten times the cost", "logits, one pair", 1),
)
LIMITS = ("limit", "limit, channels last")
RATIOS = ("cached / limit", "live / limit", "cached / limit, channels last", "cached / plain", "live / plain")

BARS = {"cached / limit": 0.9, "live / limit": 0.8, "cached / plain": 1.6}
DEAR_BARS = {**BARS, "cached / plain": 3.0}
"""What each ratio must at least be; of the second, where the teacher costs ten times what the student does."""


@dataclass(frozen=True)
class Cost:
    """Seconds per trial."""

    cpu: float
    wall: float


AXES = {
    "K": "K, trials in a cohort, one pair each",
    "pairs": "pairs of a mapping, K = 4",
    "teacher width": "teacher's width over the 1.5M teacher's, K = 8",
}

Way = Callable[[Setting], Iterator[None]]
SLICE = 0.5
"""Seconds after which the next way has its turn: other work on the machine disturbs all of them alike."""


def measure(ways: dict[str, tuple[Setting, Way]], repeats: int) -> dict[str, Cost]:
    """The median cost of each way, all interleaved; a short first round that is not counted warms up."""
    for here, way in ways.values():
        deque(way(replace(here, train=here.train.model_copy(update={"steps": 5}), recipes=here.recipes[:1])), maxlen=0)
    rounds = [_round(ways) for _ in range(repeats)]
    return {name: Cost(*(median(costs[name][i] for costs in rounds) for i in (0, 1))) for name in ways}


def _round(ways: dict[str, tuple[Setting, Way]]) -> dict[str, list[float]]:
    """CPU and wall seconds per trial of each way, trained in turns."""
    left = {name: way(here) for name, (here, way) in ways.items()}
    spent = {name: [0.0, 0.0] for name in ways}
    while left:
        for name, trials in [*left.items()]:
            begun = now = _clocks(ways[name][0])
            while now[1] - begun[1] < SLICE and name in left:
                if next(trials, StopIteration) is StopIteration:
                    del left[name]
                now = _clocks(ways[name][0])
            spent[name] = [s + b - a for s, a, b in zip(spent[name], begun, now, strict=True)]
    return {name: [s / len(here.recipes) for s in spent[name]] for name, (here, _) in ways.items()}


def _clocks(here: Setting) -> tuple[float, float]:
    if here.loaded.device.type == "cuda":
        torch.cuda.synchronize(here.loaded.device)
    return time.process_time(), time.perf_counter()


def ready(make: Callable[[], Setting], names: tuple[str, ...]) -> dict[str, tuple[Setting, Way]]:
    """Each way with networks of its own: they are trained in turns, and hooks on one teacher would see the others."""
    settings = {name: make() for name in names}
    rows: dict[str, Callable[[Setting], Way]] = {
        "plain": lambda here: plain,
        "live": lambda here: partial(engine, worker_state=open_worker_state(here.loaded, here.train, 0)),
        "cached": lambda here: partial(engine, worker_state=filled_worker_state(here)),
        "launched": lambda here: partial(engine, worker_state=replace(filled_worker_state(here), open_recorder=None)),
        "limit": lambda here: limit,
        "limit, channels last": lambda here: partial(limit, memory_format=torch.channels_last),
    }
    return {name: (here, rows[name](here)) for name, here in settings.items()}


def filled_worker_state(here: Setting) -> WorkerState:
    """The state of a worker that has cached the teacher's outputs for every sample."""
    worker_state = open_worker_state(here.loaded, here.train, here.cache_bytes)
    assert N_TRAIN % BATCH == 0, "an epoch shows every sample"
    plans = [RunPlan(0, here.recipes[-1], 0, 0, "search", "valid", N_TRAIN // BATCH)]
    deque(distill(here.loaded, here.space, here.train, plans, worker_state), maxlen=0)
    return worker_state


def table(
    device: str, n_trials: int, n_steps: int, repeats: int, n_rows: int | None = None
) -> Iterator[dict[str, Any]]:
    """All ways for each teacher and recipe, or for the first `n_rows` of them."""
    for name, recipe, n_pairs in ROWS[:n_rows]:
        make = partial(setting, Images(TEACHERS[name]), device, n_steps, n_trials, n_pairs)
        ways = ready(make, ("plain", "live", "cached", *LIMITS))
        costs, here = measure(ways, repeats), ways["limit"][0]
        about = {"teacher": name, "recipe": recipe, "K": n_trials, "steps": n_steps}
        yield {**about, **sizes(here), **operations(here), **ratios(costs)}


def sizes(here: Setting) -> dict[str, int]:
    """Parameters of both networks."""
    networks = here.loaded.teacher, here.loaded.new_student(0)
    teacher, student = (sum(p.numel() for p in network.parameters()) for network in networks)
    return {"teacher_parameters": teacher, "student_parameters": student}


def operations(here: Setting) -> dict[str, float]:
    """The teacher's forward pass over the student's, and what a step's own operations leave of the limit."""
    x, recipe, teacher, student = _batch(here), here.recipes[0], here.loaded.teacher, here.loaded.new_student(0)
    loss = RecipeLoss(recipe, here.space.student, here.space.teacher).to(here.loaded.device)
    with FeatureTaps(student, recipe.mapping.student_layers) as s_taps:
        student(x)
        learning = {path: feature.detach().requires_grad_() for path, feature in s_taps.take().items()}
    with FeatureTaps(teacher, recipe.mapping.teacher_layers) as t_taps, torch.no_grad():
        teacher(x)
        taught = t_taps.take()
    forward, teach = (_operations(partial(network, x)) for network in (student, teacher))
    step = _operations(lambda: student(x).sum().backward())
    own = step + (_operations(lambda: loss.feature_losses(learning, taught).sum().backward()) if learning else 0)
    return {
        "teacher_forwards": round(teach / forward, 2),
        "cached_by_operations": round(step / own, 3),
        "live_by_operations": round(step / (own + teach / len(here.recipes)), 3),
    }


def _batch(here: Setting) -> Tensor:
    return torch.zeros(BATCH, 1, SIDE, SIDE, device=here.loaded.device)


def _operations(run: Callable[[], object]) -> int:
    with FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops()


def ratios(costs: dict[str, Cost]) -> dict[str, Any]:
    """Costs per trial, and how many times as many trials one way gives as another."""
    said: dict[str, Any] = {name: {"cpu": round(c.cpu, 4), "wall": round(c.wall, 4)} for name, c in costs.items()}
    for name in (*RATIOS, "cached / launched"):
        one, other = name.split(" / ")
        if one in costs and other in costs:
            a, b = costs[one], costs[other]
            said[name] = {"cpu": round(b.cpu / a.cpu, 3), "wall": round(b.wall / a.wall, 3)}
    return said


def shown(rows: Iterator[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows, each printed as it comes."""
    found = []
    for row in rows:
        print(json.dumps(row), flush=True)
        found.append(row)
    return found


def sweeps(device: str, n_steps: int, repeats: int) -> dict[str, list[dict[str, Any]]]:
    """What a trial costs as the cohort, the mapping and the teacher grow; each point beside its own limit."""
    middle = TEACHERS["1.5M teacher"]
    deep = (
        ((16, 1), (32, 2), *((48, 2 if i == 0 else 1) for i in range(5))),
        ((16, 1), (32, 2), *[(48, 2), *[(48, 1)] * 6]),
    )
    cohort = {k: (Images(middle), k, 1) for k in (1, 2, 4, 8, 16, 32, 64)}
    pairs = {n: (Images(deep[1], deep[0]), 4, n) for n in (1, 2, 4, 8, 16, 32, 48)}
    teacher = {w: (Images(tuple((round(c * w), s) for c, s in middle)), 8, 1) for w in (0.25, 0.5, 1.0, 1.5, 2.0)}
    found: dict[str, list[dict[str, Any]]] = {}
    for name, points in {"K": cohort, "pairs": pairs, "teacher width": teacher}.items():
        found[name] = []
        for at, (task, n_trials, n_pairs) in points.items():
            ways = ready(partial(setting, task, device, n_steps, n_trials, n_pairs), ("live", "cached", "limit"))
            here, _ = ways["limit"]
            ways["limit"] = replace(here, recipes=here.recipes[:4]), limit  # all its trials cost the same
            about = {name: at, **sizes(here), **operations(here)}
            found[name].append({**about, **ratios(measure(ways, repeats))})
            print(json.dumps(found[name][-1]), flush=True)
    return found


def draw(found: dict[str, list[dict[str, Any]]], clock: str, path: Path) -> None:
    """One panel per sweep: seconds per trial of live, cached and limit."""
    import matplotlib.pyplot as plt  # optional: the table needs no picture

    figure, panels = plt.subplots(1, len(found), figsize=(13, 4), constrained_layout=True)
    for panel, (name, rows) in zip(panels, found.items(), strict=True):
        for way, style in (("live", "o-"), ("cached", "s-"), ("limit", "k--")):
            panel.plot([row[name] for row in rows], [row[way][clock] for row in rows], style, label=way)
        panel.set(xlabel=AXES[name], ylim=(0, None), xscale="log")
        panel.set_xticks([row[name] for row in rows], [str(row[name]) for row in rows], minor=False)
        panel.minorticks_off()
        panel.legend()
    panels[0].set_ylabel(f"{clock} seconds per trial")
    figure.suptitle("What a trial costs: with the teacher live, cached, and without any teacher (limit)")
    figure.savefig(path, dpi=110)
    plt.close(figure)


def text(rows: list[dict[str, Any]], about: dict[str, Any], clock: str) -> str:
    """The main table in Markdown."""
    lines = [f"# Throughput, {about['date']}", "", *(f"- {key}: {value}" for key, value in about.items()), ""]
    lines += [f"Seconds per trial ({clock}) and ratios of trials per hour, medians.", ""]
    head = ["teacher", "its forward / student's", "recipe", "plain", "live", "cached", *LIMITS, *RATIOS]
    head += ["cached, by operations", "live, by operations"]
    lines += ["| " + " | ".join(head) + " |", "| --- | ---: | --- |" + " ---: |" * 12]
    for row in rows:
        cells = [f"{row['teacher']} ({row['teacher_parameters']:,})", f"{row['teacher_forwards']}", row["recipe"]]
        cells += [f"{row[way][clock]:.2f}" for way in ("plain", "live", "cached", *LIMITS)]
        cells += [f"{row[name][clock]:.2f}" for name in RATIOS]
        cells += [f"{row[f'{way}_by_operations']:.2f}" for way in ("cached", "live")]
        lines.append("| " + " | ".join(cells) + " |")
    lines += ["", "## Bars", ""]
    for row in rows:
        bars = (DEAR_BARS if row["teacher_forwards"] > 10 else BARS).items()
        said = [
            f"{name} {row[name][clock]:.2f} ({'met' if row[name][clock] >= bar else 'missed'}: {bar})"
            for name, bar in bars
        ]
        lines.append(f"- {row['teacher']}, {row['recipe']}: {', '.join(said)}")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Parse, measure, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N")
    parser.add_argument("--quick", action="store_true", help="the table alone, from one short repetition")
    parser.add_argument("--part", choices=("table", "sweeps", "all"), default="all", help="the other stays as it is")
    parser.add_argument("-K", type=int, default=8, help="trials of the table, all in one cohort")
    parser.add_argument("--steps", type=int, default=100, help="of a trial of the table; a sweep takes a quarter")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("-o", type=Path, default=Path(__file__).parent / "recorded", help="folder for the results")
    said = parser.parse_args()
    torch.set_num_threads(1)
    n_steps, repeats = (15, 1) if said.quick else (said.steps, said.repeats)
    clock = "wall" if said.device.startswith("cuda") else "cpu"
    about = {"date": date.today().isoformat(), "command": " ".join(["python -m benchmarks.throughput", *sys.argv[1:]]),
             "device": said.device,
             "threads": 1, "machine": machine_name(said.device), "torch": torch.__version__}  # fmt: skip
    said.o.mkdir(parents=True, exist_ok=True)
    stem = said.o / f"throughput-{about['date']}"
    path = stem.with_suffix(".json")
    found = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    if said.part != "sweeps":
        found["table"] = {**about, "rows": shown(table(said.device, said.K, n_steps, repeats))}
        stem.with_suffix(".md").write_text(text(found["table"]["rows"], about, clock), encoding="utf-8")
    if said.part != "table" and not said.quick:
        found["sweeps"] = {**about, "rows": sweeps(said.device, max(20, n_steps // 4), max(1, repeats // 2))}
        draw(found["sweeps"]["rows"], clock, stem.with_suffix(".png"))
    path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
