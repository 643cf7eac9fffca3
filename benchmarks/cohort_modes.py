"""Ways to take one step with K small students on one batch: which is worth building?

    python -m benchmarks.cohort_modes [--device cuda]

Compared are students one after the other as the engine trains them, the same with channels last, stacked under
`torch.func.vmap`, replayed as a CUDA graph, and compiled by `torch.compile`. Each trains on the task loss alone;
the ways take turns, and the medians of all turns are printed.
"""

import argparse
import copy
import json
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from benchmarks.ways import BATCH, CLASSES, SIDE, STUDENT, Cnn

Step = Callable[[], Tensor]
QUICKLY_STARTED = ("sequential", "sequential, channels last", "vmap", "CUDA graph")
"""The modes that need no minutes of compilation."""


def students(k: int, device: torch.device) -> list[nn.Module]:
    """K students with weights of their own."""
    found: list[nn.Module] = []
    for seed in range(k):
        torch.manual_seed(seed)
        found.append(Cnn(STUDENT).to(device).train())
    return found


def sequential(models: list[nn.Module], x: Tensor, y: Tensor, *, capturable: bool = False) -> Step:
    """One student after the other."""
    optimizers = [torch.optim.AdamW(model.parameters(), 1e-3, fused=True, capturable=capturable) for model in models]

    def step() -> Tensor:
        losses = []
        for model, optimizer in zip(models, optimizers, strict=True):
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            losses.append(loss.detach())
        return torch.stack(losses)

    return step


def stacked(models: list[nn.Module], x: Tensor, y: Tensor) -> Step:
    """All students as one with a further axis on every weight and buffer."""
    skeleton = copy.deepcopy(models[0])
    parameters, buffers = stack_module_state(models)
    counts = {name: buffers.pop(name) for name in [*buffers] if name.endswith("num_batches_tracked")}
    for name in counts:  # counted by an in-place addition that vmap refuses, and not used by the forward pass
        skeleton.get_submodule(name.rpartition(".")[0]).num_batches_tracked = None
    parameters = {name: value.detach().requires_grad_() for name, value in parameters.items()}
    optimizer = torch.optim.AdamW(parameters.values(), 1e-3, fused=True)

    def loss(weights: dict[str, Tensor], state: dict[str, Tensor]) -> Tensor:
        return F.cross_entropy(functional_call(skeleton, (weights, state), (x,)), y)

    def step() -> Tensor:
        losses = vmap(loss)(parameters, buffers)
        losses.sum().backward()
        optimizer.step()
        optimizer.zero_grad()
        return losses.detach()

    return step


def compiled(models: list[nn.Module], x: Tensor, y: Tensor) -> Step:
    """One after the other, their forward and backward passes compiled."""
    for model in models:
        model.compile()
    return sequential(models, x, y)


def seconds(step: Step, device: torch.device) -> float:
    """Of one step: CPU time of this process on a CPU, wall time on a GPU."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    clock = time.perf_counter if device.type == "cuda" else time.process_time
    begun = clock()
    step()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return clock() - begun


def channels_last(models: list[nn.Module], x: Tensor, y: Tensor) -> Step:
    """One after the other, with images laid out channels last."""
    for model in models:
        model.to(memory_format=torch.channels_last)
    return sequential(models, x, y)


def graphed(models: list[nn.Module], x: Tensor, y: Tensor) -> Step:
    """One after the other, recorded once as a CUDA graph and replayed: nothing is launched from Python."""
    step = sequential(models, x, y, capturable=True)
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):  # a graph is recorded off the default stream, after a few plain steps
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        losses = step()

    def replay() -> Tensor:
        graph.replay()
        return losses

    return replay


MODES: dict[str, Callable[[list[nn.Module], Tensor, Tensor], Step]] = {
    "sequential": sequential,
    "sequential, channels last": channels_last,
    "vmap": stacked,
    "CUDA graph": graphed,
    "compile": compiled,
}


def milliseconds(k: int, device: str, turns: int, names: tuple[str, ...] = QUICKLY_STARTED) -> dict[str, Any]:
    """Per student and step of each mode, all taking turns; the error of a mode that cannot be had here."""
    where = torch.device(device)
    x, y = torch.randn(BATCH, 1, SIDE, SIDE, device=where), torch.randint(CLASSES, (BATCH,), device=where)
    steps: dict[str, Step] = {}
    found: dict[str, Any] = {}
    for name in names:
        try:
            steps[name] = MODES[name](students(k, where), x, y)
            steps[name]()
        except Exception as error:  # no CUDA, no compiler, or an operation without a rule for vmap
            steps.pop(name, None)
            found[name] = f"{type(error).__name__}: {error}"[:200]
    times: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(turns):
        for name, step in steps.items():
            times[name].append(1000 * seconds(step, where) / k)
    return {name: round(median(times[name]), 4) if name in times else found[name] for name in names}


def main() -> None:
    """Measure and print one JSON line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("-K", type=int, default=8)
    parser.add_argument("--turns", type=int, default=15)
    parser.add_argument("--quick", action="store_true", help="two turns of two students, nothing compiled")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    k, turns, names = (2, 2, QUICKLY_STARTED) if chosen.quick else (chosen.K, chosen.turns, tuple(MODES))
    print(
        json.dumps(
            {"ms_per_student_step": milliseconds(k, chosen.device, turns, names), "K": k, "device": chosen.device}
        )
    )


if __name__ == "__main__":
    main()
