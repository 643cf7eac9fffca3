"""Three ways to take one step with K small students on one batch: which is worth building?

    python benchmarks/cohort_modes.py [--device cuda]

Compared are students one after the other as the engine trains them, stacked under `torch.func.vmap`, one
after the other compiled by `torch.compile`. Each trains on the task loss alone; the ways take turns, and
the medians of all turns are printed, beside what the first step took, compilation included.
"""

import argparse
import copy
import json
import time
from collections.abc import Callable
from statistics import median

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap
from ways import BATCH, CLASSES, SIDE, STUDENT, Cnn

Step = Callable[[], Tensor]


def students(k: int, device: torch.device) -> list[nn.Module]:
    """K students with weights of their own."""
    found: list[nn.Module] = []
    for seed in range(k):
        torch.manual_seed(seed)
        found.append(Cnn(STUDENT).to(device).train())
    return found


def sequential(models: list[nn.Module], x: Tensor, y: Tensor) -> Step:
    """One student after the other."""
    optimizers = [torch.optim.AdamW(model.parameters(), 1e-3, fused=True) for model in models]

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


def main() -> None:
    """Measure and print one JSON line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("-K", type=int, default=8)
    parser.add_argument("--turns", type=int, default=15)
    said = parser.parse_args()
    torch.set_num_threads(1)
    device = torch.device(said.device)
    x, y = torch.randn(BATCH, 1, SIDE, SIDE, device=device), torch.randint(CLASSES, (BATCH,), device=device)
    makers = {"sequential": sequential, "vmap": stacked, "compile": compiled}
    steps = {name: maker(students(said.K, device), x, y) for name, maker in makers.items()}
    losses, starts = {}, {}
    for name, step in steps.items():
        begun = time.perf_counter()
        losses[name] = step()
        starts[name] = round(time.perf_counter() - begun, 2)
    apart = {name: float((loss - losses["sequential"]).abs().max()) for name, loss in losses.items()}
    times: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(said.turns):
        for name, step in steps.items():
            times[name].append(1000 * seconds(step, device) / said.K)
    found = {name: round(median(values), 2) for name, values in times.items()}
    about = {"K": said.K, "device": said.device, "first_step_wall_seconds": starts, "first_losses_apart": apart}
    print(json.dumps({"ms_per_student_step": found, **about}))


if __name__ == "__main__":
    main()
