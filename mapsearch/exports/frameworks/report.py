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
        found = []
        for number, (here, file) in enumerate(zip(self.here, self.file, strict=True)):
            tolerance = min(self.tolerance * LATER, LOOSEST) if number > 1 else self.tolerance
            if not math.isclose(here, file, rel_tol=tolerance, abs_tol=1e-9):
                found.append(
                    f"the {self._name(number)} of the recipe and of the file must be equal within {tolerance:g} "
                    f"(relative), but got {here:.8g} and {file:.8g}"
                )
        return tuple(found)

    def _name(self, number: int) -> str:
        if number < 2:
            return ("student gradient norm", "loss")[number]
        return f"loss of step {number}, where {self.progress[number - 1]:.0%} of the training is done,"

    @property
    def warning(self) -> str:
        """That the loss differs slightly from the one the trial recorded, or the empty string."""
        if self._recorded_within(self.tolerance):
            return ""
        return f"{self._two_losses}: another device, TF32, bfloat16 or another memory format can explain that"

    @property
    def unexplained(self) -> str:
        """That the loss differs from the recorded one by more than another device can explain, or the empty string."""
        if self._recorded_within(LOOSE_TOLERANCE[self.precision]):
            return ""
        return (
            f"{self._two_losses}, more than another device or precision explains: the task, its data or its teacher "
            "has changed"
        )

    @property
    def _two_losses(self) -> str:
        return f"the first loss of the trial was {self.loss_in_trial:.8g}, and its recipe gives {self.here[1]:.8g} here"

    def _recorded_within(self, tolerance: float) -> bool:
        return math.isclose(self.loss_in_trial, self.here[1], rel_tol=tolerance, abs_tol=1e-9)


def tolerance(precision: Precision, device: torch.device) -> float:
    """What counts as equal between two losses of one recipe here."""
    with forward_precision(precision, device):
        return TOLERANCE["bfloat16" if torch.is_autocast_enabled(device.type) else "float32"]
