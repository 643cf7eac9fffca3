"""Time and peak memory of every feature loss on typical shapes: what one pair adds to a training step.

python -m benchmarks.losses [--quick] [-o FILE.md]   (writes FILE.md and FILE.json)
"""

import argparse
import json
import platform
import time
import weakref
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import mapsearch
from benchmarks.machine import machine_name
from benchmarks.recording import RECORDED
from mapsearch.core.layers import Layer
from mapsearch.core.projectors import projector_arguments
from mapsearch.core.space import pair_problem
from mapsearch.losses.projectors import Projector
from mapsearch.losses.recipe_loss import FEATURE_LOSSES

MIB = 2**20

# name -> batch, kind, shape of a student's sample, shape of a teacher's
SHAPES = {
    "tokens": (16, "tokens", (128, 384), (128, 768)),
    "maps": (32, "map", (64, 16, 16), (128, 16, 16)),
    "vectors": (256, "vector", (256,), (512,)),
    "large map": (8, "map", (64, 56, 56), (64, 56, 56)),
}

Step = Callable[[], None]


class PeakBytes(TorchDispatchMode):
    """The most bytes that tensors made inside ever held at once."""

    def __init__(self) -> None:
        super().__init__()
        self.live: dict[int, int] = {}
        self.peak = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run the operation and count storages that it made."""
        known = {x.untyped_storage()._cdata for x in tree_leaves((args, kwargs)) if isinstance(x, Tensor)}
        out = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(out):
            if isinstance(tensor, Tensor) and tensor.untyped_storage()._cdata not in known | self.live.keys():
                storage = tensor.untyped_storage()
                self.live[storage._cdata] = storage.nbytes()
                weakref.finalize(storage, self.live.pop, storage._cdata, None)
        self.peak = max(self.peak, sum(self.live.values()))
        return out


def steps(device: torch.device) -> Iterator[tuple[str, str, Step]]:
    """(shape, loss, forward and backward of one pair) for every loss that takes the shape."""
    for shape, (n, kind, student, teacher) in SHAPES.items():
        layers = Layer("s", "Block", kind, student, 1), Layer("t", "Block", kind, teacher, 1)
        for loss in FEATURE_LOSSES:
            if not pair_problem(*layers, loss, "linear"):
                yield shape, loss, _step(n, loss, layers, device)


def _step(n: int, loss: str, layers: tuple[Layer, Layer], device: torch.device) -> Step:
    torch.manual_seed(0)
    projector = Projector(**projector_arguments(loss, "linear", *layers)).to(device)
    s, t = (torch.randn(n, *layer.shape, device=device) for layer in layers)
    s.requires_grad_()

    def step() -> None:
        s.grad = None
        projector.zero_grad()
        FEATURE_LOSSES[loss](*projector(s, t), **projector.learned).backward()

    return step


def seconds(step: Step, device: torch.device) -> float:
    """Of one step: CPU time of the process, or wall time on a GPU that has finished."""
    if device.type == "cpu":
        started = time.process_time()
        step()
        return time.process_time() - started
    torch.cuda.synchronize(device)
    started = time.perf_counter()
    step()
    torch.cuda.synchronize(device)
    return time.perf_counter() - started


def peak_bytes(step: Step, device: torch.device) -> int:
    """Beside the features and what the projector weighs: intermediate values, gradients, copies."""
    if device.type == "cpu":
        with PeakBytes() as counted:
            step()
        return counted.peak
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    step()
    return torch.cuda.max_memory_allocated(device) - before


def measure(repeats: int, device: torch.device) -> list[dict[str, Any]]:
    """One row per shape and loss: median milliseconds, the same as a multiple of nmse's, and peak MiB."""
    rows = []
    found = list(steps(device))
    for shape in SHAPES:
        mine = {loss: step for where, loss, step in found if where == shape}
        peaks = {loss: peak_bytes(step, device) for loss, step in mine.items()}  # warms up as well
        times: dict[str, list[float]] = {loss: [] for loss in mine}
        for _ in range(repeats):
            for loss, step in mine.items():  # interleaved: a busy machine is busy for all
                times[loss].append(seconds(step, device))
        medians = {loss: median(values) for loss, values in times.items()}
        rows += [
            {
                "shape": shape,
                "loss": loss,
                "milliseconds": 1e3 * medians[loss],
                "times_nmse": medians[loss] / max(medians["nmse"], 1e-9),
                "peak_mib": peaks[loss] / MIB,
            }
            for loss in mine
        ]
    return rows


def report(rows: list[dict[str, Any]], facts: dict[str, str]) -> str:
    """The rows as Markdown, one table per shape."""
    lines = ["# Time and memory of feature losses", "", *(f"- {key}: {value}" for key, value in facts.items())]
    for shape, (n, kind, student, teacher) in SHAPES.items():
        own = n * 4 * (torch.Size(student).numel() + torch.Size(teacher).numel()) / MIB
        lines += ["", f"## {shape}: {n} x {kind} {list(student)} -> {list(teacher)}, features {own:.1f} MiB", ""]
        lines += ["| loss | ms | times nmse | peak MiB |", "| --- | ---: | ---: | ---: |"]
        lines += [
            f"| {row['loss']} | {row['milliseconds']:.2f} | {row['times_nmse']:.2f} | {row['peak_mib']:.1f} |"
            for row in rows
            if row["shape"] == shape
        ]
    return "\n".join(lines) + "\n"


def main(arguments: list[str] | None = None) -> Path:
    """Measure, print and write down; returns the Markdown file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="three repeats instead of fifteen")
    parser.add_argument("-o", type=Path, metavar="FILE", help="Markdown to write; JSON goes beside it")
    options = parser.parse_args(arguments)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    repeats = 3 if options.quick else 15
    name = machine_name(str(device))
    today = datetime.now(UTC).date().isoformat()
    facts = {
        "command": f"python -m benchmarks.losses{' --quick' * options.quick}",
        "date": today,
        "machine": f"{name}, {torch.get_num_threads()} CPU threads",
        "versions": f"mapsearch {mapsearch.__version__}, torch {torch.__version__}, Python {platform.python_version()}",
        "time": f"forward and backward of one pair with its projector, float32; median of {repeats}, interleaved; "
        + ("CPU time of the process" if device.type == "cpu" else "wall time"),
        "peak": "bytes of all tensors that live at once, beside features and weights",
    }
    rows = measure(repeats, device)
    text = report(rows, facts)
    path = options.o or RECORDED / f"losses-{today}-{device.type}.md"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.with_suffix(".json").write_text(json.dumps({**facts, "rows": rows}, indent=1) + "\n", encoding="utf-8")
    print(text)
    return path


if __name__ == "__main__":
    main()
