"""VerifyReport: the same numbers from the trial, from its recipe here and from the file."""

import math
from dataclasses import dataclass

from mapsearch.exports.frameworks.arithmetic import LOOSE_TOLERANCE
from mapsearch.tasks.precision import Precision

Measured = tuple[float, float, float]
"""Of the first step: the total loss, the norm of its gradient at the student's parameters, and the total loss when
the feature loss has faded by half."""


@dataclass(frozen=True)
class VerifyReport:
    """What was measured on the first batch of the reference run.

    `loss_in_trial` is the first loss that the trial recorded, perhaps on another device, and `loss_of_trial_here`
    that of its whole recipe here. `here` is measured with the recipe as the target can express it, `file` with the
    exported file. `tolerance` is the relative difference that counts as equal here, and `precision` the study's.
    """

    loss_in_trial: float
    loss_of_trial_here: float
    here: Measured
    file: Measured
    tolerance: float
    precision: Precision

    @property
    def loss_exported(self) -> float:
        """The total loss of the first step by the file."""
        return self.file[0]

    @property
    def is_restricted(self) -> bool:
        """Whether the target expresses less than the trial's recipe, so that the file gives another loss."""
        return not math.isclose(self.here[0], self.loss_of_trial_here, rel_tol=self.tolerance, abs_tol=1e-9)

    @property
    def differences(self) -> tuple[str, ...]:
        """What the file computes differently from its recipe."""
        names = ("loss", "student gradient norm", "half-faded loss")
        return tuple(
            f"the {name} of the recipe and of the file must be equal within {self.tolerance:g} (relative), but got "
            f"{here:.8g} and {file:.8g}"
            for name, here, file in zip(names, self.here, self.file, strict=True)
            if not math.isclose(here, file, rel_tol=self.tolerance, abs_tol=1e-9)
        )

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
        here = f"{self.loss_of_trial_here:.8g}"
        return f"the first loss of the trial was {self.loss_in_trial:.8g}, and its recipe gives {here} here"

    def _recorded_within(self, tolerance: float) -> bool:
        return math.isclose(self.loss_in_trial, self.loss_of_trial_here, rel_tol=tolerance, abs_tol=1e-9)
