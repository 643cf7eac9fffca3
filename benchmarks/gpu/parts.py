"""`python -m benchmarks.gpu.parts PART`: one part of the GPU benchmark; every row is a line of JSON on stdout."""

import argparse
import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from statistics import median
from typing import Any

import torch

from benchmarks import cohort_modes, throughput
from benchmarks.gpu.memory import cache_row, cohort_row
from benchmarks.similarity.workloads import Pair, forward_only, pair_of
from mapsearch import compare

Rows = Iterator[dict[str, Any]]


def main() -> None:
    """Run the part; an error in one row is a row, and the next one is tried."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu.parts", description=__doc__)
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--quick", action="store_true")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    for row in PARTS[chosen.part](chosen.device, chosen.quick):
        print(json.dumps(row), flush=True)


def tried(about: dict[str, Any], measure: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The row with what was measured, or with the error."""
    try:
        return {**about, **measure()}
    except Exception as error:  # one row must not cost the others
        return {**about, "error": f"{type(error).__name__}: {error}"[:300]}


def tests(device: str, quick: bool) -> Rows:
    """The outcome of every CUDA test; a failed one with its error."""
    options = ["-m", "cuda", "-W", "default", "-p", "no:cacheprovider", "--timeout", "90", "-v", "--tb=short", "-rfEs"]
    command = [sys.executable, "-m", "pytest", *options, *(["-k", "similarity"] if quick else []), "tests/cuda"]
    with subprocess.Popen(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        assert process.stdout is not None
        for line in process.stdout:
            found = re.match(r"(tests/cuda/\S+) (PASSED|FAILED|SKIPPED|ERROR)", line)
            if found and found[2] != "SKIPPED":
                yield {"test": found[1].removeprefix("tests/cuda/"), "outcome": found[2].lower()}
            elif not found:
                print(line, end="", flush=True)


def memory(device: str, quick: bool) -> Rows:
    """Forecast and truth of cohorts and of the cache, in both precisions."""
    for workload in ("images", "tokens"):
        for precision in ("float32", "bfloat16"):
            about = {"workload": workload, "precision": precision}
            for k in (1, 2) if quick else (1, 8):
                measure = partial(cohort_row, workload, device, precision, k, quick)
                yield tried({**about, "what": f"cohort of {k}"}, measure)
            yield tried({**about, "what": "cache"}, partial(cache_row, workload, device, precision, quick))


def modes(device: str, quick: bool) -> Rows:
    """Students one after the other, stacked, channels last, as a CUDA graph."""
    for k in (1, 2) if quick else (1, 8, 32):
        yield tried({"K": k}, partial(cohort_modes.milliseconds, k, device, 2 if quick else 15))


def similarity(device: str, quick: bool) -> Rows:
    """What similarity costs beside the forward passes of both networks."""
    n, batch, shrink, repeats = (128, 64, 8, 1) if quick else (4096, 256, 1, 5)
    for name in ("transformer", "cnn", "mlp"):
        for block in ("auto", 64):
            row = partial(_similarity_row, name, device, n, batch, shrink, repeats, block)
            yield tried({"workload": name, "block": block, "samples": n}, row)


def _similarity_row(
    name: str, device: str, n: int, batch: int, shrink: int, repeats: int, block: Any
) -> dict[str, float]:
    pair = pair_of(name, n, batch, shrink=shrink)
    pair = Pair(pair.student.to(device), pair.teacher.to(device), [x.to(device) for x in pair.batches])
    layers = {"teacher_layers": pair.teacher.names, "student_layers": pair.student.names}
    ways: dict[str, Callable[[], object]] = {
        "forward": partial(forward_only, pair),
        "with similarity": partial(compare, pair.teacher, pair.student, pair.batches, block=block, **layers),
    }
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for repeat in range(repeats + 1):
        for way, run in ways.items():
            took = _seconds(run, device)
            seconds[way] += [took] if repeat else []  # the first warms up
    forward, whole = (median(values) for values in seconds.values())
    return {"forward seconds": forward, "with similarity seconds": whole, "over forward": whole / forward}


def _seconds(run: Callable[[], object], device: str) -> float:
    begun = time.perf_counter()
    run()
    if device.startswith("cuda"):
        torch.cuda.synchronize()
    return time.perf_counter() - begun


def trials(device: str, quick: bool) -> Rows:
    """The throughput table for cohorts of 1, 8 and 32; the larger ones in fewer repeats and rows."""
    sizes = ((2, 5, 1, 1),) if quick else ((1, 25, 2, None), (8, 25, 1, None), (32, 15, 1, 2))
    for k, steps, repeats, n_rows in sizes:
        yield from throughput.table(device, k, steps, repeats, n_rows)


def replays(device: str, quick: bool) -> Rows:
    """Cohorts whose steps are recorded once and replayed, beside the same launched from Python, and the plain loop."""
    sizes = ((2, 5, 1, 1),) if quick else ((32, 50, 1, 2), (8, 50, 1, 2))
    for k, steps, repeats, n_rows in sizes:
        for teacher, recipe, n_pairs in throughput.ROWS[:n_rows]:
            images = throughput.Images(throughput.TEACHERS[teacher])
            make = partial(throughput.setting, images, device, steps, k, n_pairs)
            costs = throughput.measure(throughput.ready(make, ("plain", "launched", "cached", "limit")), repeats)
            yield {"teacher": teacher, "recipe": recipe, "K": k, "steps": steps, **throughput.ratios(costs)}


PARTS: dict[str, Callable[[str, bool], Rows]] = {
    "tests": tests,
    "memory": memory,
    "cohort modes": modes,
    "similarity": similarity,
    "throughput": trials,
    "replays": replays,
}

if __name__ == "__main__":
    main()
