"""Checks of what hooks see: the same with and without `torch.compile`, and features that carry gradient."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from mapsearch.check.finding_log import FindingLog
from mapsearch.features.modules import inside_compiled, is_compiled, runs_eager
from mapsearch.features.taps import FeatureTaps
from mapsearch.tasks.nested import tensors_of

Forward = Callable[[nn.Module], Any]

COMPILED_TOLERANCE = 1e-2
"""Relative difference of norms that a compiler may make; it reorders sums and may use TF32 or bfloat16."""

REENTRANT = "uses a re-entrant checkpoint, which prevents measuring the gradient of each term"
NOT_REENTRANT = "pass `use_reentrant=False` to `torch.utils.checkpoint`, in Hugging Face's enabling call as well"


def check_compiled(log: FindingLog, network: str, model: nn.Module, paths: list[str], forward: Forward) -> None:
    """Of a compiled network: whether hooks see its layers, and whether they output the same as without it."""
    if not any(map(is_compiled, model.modules())):
        return
    inside = inside_compiled(model, paths)
    if inside:
        names, way = ", ".join(f"`{path}`" for path in inside), "compile the blocks one by one to keep its speed"
        problem = "inside a compiled graph, where hooks do not run: the network runs uncompiled while it is observed"
        log.add("warning", "layers.compiled_whole", f"{network}: {names} {problem}; {way}")
        return
    compiled = _features(model, paths, forward)
    with runs_eager():
        eager = _features(model, paths, forward)
    differing = [path for path in paths if not _is_close(compiled[path], eager[path])]
    if differing:
        problem = "outputs different values with and without compilation; remove `torch.compile` from the task"
        log.add("error", "layers.compiled_differs", f"{network}: `{differing[0]}` {problem}")
    else:
        log.add("ok", "layers.compiled", f"{network}: compiled; its layers output the same as without compilation")


def check_carries_gradient(log: FindingLog, student: nn.Module, paths: list[str], forward: Forward) -> None:
    """Whether a loss on the features can reach the student's weights; the finding names what cuts them off."""
    with FeatureTaps(student, paths) as taps:
        output = forward(student)
        features = taps.take()
    cut = ", ".join(f"`{path}`" for path in paths if not features[path].requires_grad)
    if any(_is_checkpointed(tensor) for tensor in tensors_of(output)):
        problem = f"{cut} inside a re-entrant checkpoint, which cuts their gradient" if cut else REENTRANT
        log.add("error", "layers.reentrant_checkpoint", f"student: {problem}; {NOT_REENTRANT}")
    elif cut:
        cause = "everything before is frozen, detached or under `no_grad`; choose layers that can learn"
        log.add("error", "layers.no_gradient", f"student: no gradient passes {cut}: {cause}")


def _is_checkpointed(output: Tensor) -> bool:
    """Whether the tensor's graph contains a re-entrant checkpoint."""
    waiting, seen = [output.grad_fn], set()
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        if node.name() == "CheckpointFunctionBackward":
            return True
        seen.add(node)
        waiting += [before for before, _ in node.next_functions]
    return False


@torch.no_grad()
def _features(model: nn.Module, paths: list[str], forward: Forward) -> dict[str, Tensor]:
    """The layers' outputs in eval mode: dropout would differ from pass to pass."""
    mode = model.training
    try:
        with FeatureTaps(model, paths, copied=paths) as taps:
            forward(model.eval())
            return taps.take()
    finally:
        model.train(mode)


def _is_close(one: Tensor, other: Tensor) -> bool:
    return float((one - other).norm()) <= COMPILED_TOLERANCE * float(other.norm())
