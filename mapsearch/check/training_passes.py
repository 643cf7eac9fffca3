"""Checks of what a student does in training mode only: layers that some passes leave out, outputs of another form."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from mapsearch.check.capture import Forward
from mapsearch.check.finding_log import FindingLog
from mapsearch.core.addresses import parse_address
from mapsearch.features.taps import FeatureTaps
from mapsearch.tasks.seeding import seed_everything, step_seed

N_TRAINING_PASSES = 8
"""Passes in which a layer that is dropped one time in three is seen to be dropped, 96 times in 100."""


def check_training_passes(log: FindingLog, student: nn.Module, paths: list[str], forward: Forward, seed: int) -> None:
    """Whether the layers run in every training pass, and the outputs have one form in both modes."""
    mode = student.training
    try:
        missed, trained = _training_passes(student.train(), paths, forward, seed)
        with torch.no_grad():
            evaluated = _form(forward(student.eval()))
    finally:
        student.train(mode)
    if missed:
        path, n = max(missed.items(), key=lambda item: item[1])
        problem = f"`{path}` ran in only {N_TRAINING_PASSES - n} of {N_TRAINING_PASSES} training passes"
        way_out = "switch off what drops layers (`layerdrop=0`), or name layers that always run in `layers.student`"
        log.add("error", "layers.dropped", f"student: {problem}; {way_out}")
    if trained != evaluated:
        problem = f"outputs {trained} in training mode, but {evaluated} in evaluation mode"
        way_out = "what only training has is taught by your `loss(output, batch)` alone, and metrics never see it"
        log.add("warning", "student.modes_differ", f"{problem}: {way_out}")


@torch.no_grad()
def _training_passes(student: nn.Module, paths: list[str], forward: Forward, seed: int) -> tuple[dict[str, int], str]:
    """In how many passes each layer that was left out was so, and the form of the last output."""
    missed: dict[str, int] = {}
    before = {name: value.clone() for name, value in student.state_dict().items() if isinstance(value, Tensor)}
    form = ""
    for step in range(N_TRAINING_PASSES):
        seed_everything(step_seed(seed, step))
        with FeatureTaps(student, paths) as taps:
            form = _form(forward(student))
            for path, n_calls in taps.calls().items():
                if n_calls <= (parse_address(path).call or 0):
                    missed[path] = missed.get(path, 0) + 1
    student.load_state_dict(before, strict=False)  # the running statistics of batch norm moved
    return missed, form


def _form(output: Any) -> str:
    """Types and shapes of an output, as a reader would write them."""
    if isinstance(output, Tensor):
        return str(list(output.shape))
    if isinstance(output, Mapping):
        return "{" + ", ".join(f"{key}: {_form(value)}" for key, value in output.items()) + "}"
    if isinstance(output, (tuple, list)):
        return f"{type(output).__name__}({', '.join(map(_form, output))})"
    return type(output).__name__
