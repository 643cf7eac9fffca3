"""How far a training is."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from mapsearch.core.trained import Validation


@dataclass
class Course:
    """Steps done, what was measured, and the best weights so far where they are wanted, on the CPU."""

    step: int = 0
    validations: list[Validation] = field(default_factory=list)
    best_step: int = 0
    best_value: float | None = None
    best: dict[str, Tensor] | None = None

    def validated(
        self, validation: Validation, metric: str, direction: str, weights: Mapping[str, Tensor] | None
    ) -> Validation:
        """Take in how the student does.

        Args:
            weights: kept where they are the best so far; None keeps none.
        """
        self.validations.append(validation)
        value = validation.metrics[metric]
        assert value is not None, "its metric was found to be finite"
        sign = 1.0 if direction == "maximize" else -1.0
        if self.best_value is None or sign * value > sign * self.best_value:
            self.best_step, self.best_value = self.step, value
            if weights is not None:
                self.best = {name: x.detach().cpu().clone() for name, x in weights.items()}
        return validation

    def to_state(self) -> dict[str, Any]:
        """Tensors and plain data; `from_state` gives the course back."""
        rows = [{"step": validation.step, "metrics": dict(validation.metrics)} for validation in self.validations]
        return {**vars(self), "validations": rows}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> "Course":
        """The course that `to_state` wrote."""
        return cls(**{**state, "validations": [Validation(**row) for row in state["validations"]]})
