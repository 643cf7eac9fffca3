"""VerifyReport: the same numbers from the trial, from its recipe here and from the file."""

import math
from dataclasses import dataclass

import torch

from mapsearch.tasks.precision import Precision, forward_precision

TOLERANCE = {"float32": 1e-5, "bfloat16": 1e-3}
"""Largest relative difference that counts as equal for one recipe on one device: sums in another order."""
LOOSE_TOLERANCE = {"float32": 5e-3, "auto": 3e-2, "bfloat16": 3e-2}
"""Largest one that another device, TF32, bfloat16 or another memory format may make in a trial of that precision;
`auto` may have been bfloat16 where the trial ran."""
Measured = tuple[float, ...]
"""The norm of the first gradient at the student's parameters, and the total loss at each step."""
LATER, LOOSEST = 100.0, 0.03
"""How many times the tolerance counts after a step, and the most it may be: roundings move weights a little apart."""


@dataclass(frozen=True)
class VerifyReport:
    """What was measured in a few training steps on the batches of the reference run.

    `loss_in_trial` is the first loss that the trial recorded, perhaps on another device. `here` is measured with the
    recipe as the target can express it, which has the trial's first loss: balances change no loss before they learn.
    `file` is measured with the exported file, each step as if the fraction of the training in `progress` was done.
    `tolerance` is the relative difference that counts as equal here, and `precision` the study's. `edits` are lines
    of the file that an export writes otherwise.
    """

    loss_in_trial: float
    here: Measured
    file: Measured
    progress: tuple[float, ...]
    tolerance: float
    precision: Precision
    edits: tuple[str, ...] = ()

    @property
    def loss_exported(self) -> float:
        """The total loss of the first step by the file."""
        return self.file[1]

    @property
    def differences(self) -> tuple[str, ...]:
        """What the file computes differently from its recipe."""
        later, done = min(self.tolerance * LATER, LOOSEST), enumerate(self.progress[1:], 2)
        steps = [(f"loss of step {step}, where {part:.0%} of the training is done,", later) for step, part in done]
        names = [("student gradient norm", self.tolerance), ("loss", self.tolerance), *steps]
        return tuple(
            f"the {name} of the recipe and of the file must be equal within {within:g} (relative), "
            f"but got {here:.8g} and {file:.8g}"
            for (name, within), here, file in zip(names, self.here, self.file, strict=True)
            if not math.isclose(here, file, rel_tol=within, abs_tol=1e-9)
        )

    @property
    def is_explained(self) -> bool:
        """Whether another device, precision or memory format can have recorded the trial's loss."""
        return self._recorded_within(LOOSE_TOLERANCE[self.precision])

    @property
    def warning(self) -> str:
        """That the loss differs from the one the trial recorded, and why it may, or the empty string."""
        if self._recorded_within(self.tolerance):
            return ""
        why = ": another device, TF32, bfloat16 or another memory format can explain that"
        if not self.is_explained:
            why = ", more than another device or precision explains: the task, its data or its teacher has changed"
        return (
            f"the first loss of the trial was {self.loss_in_trial:.8g}, and its recipe gives {self.here[1]:.8g} "
            f"here{why}"
        )

    def _recorded_within(self, tolerance: float) -> bool:
        return math.isclose(self.loss_in_trial, self.here[1], rel_tol=tolerance, abs_tol=1e-9)


def tolerance(precision: Precision, device: torch.device) -> float:
    """What counts as equal between two losses of one recipe here."""
    with forward_precision(precision, device):
        return TOLERANCE["bfloat16" if torch.is_autocast_enabled(device.type) else "float32"]
