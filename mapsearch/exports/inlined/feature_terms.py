"""The feature terms of exported files, each with its projector."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from mapsearch.losses.aggregation import Mixture
from mapsearch.losses.projectors import Projector


class FeatureTerm(nn.Module):
    """The loss between a student feature and a teacher feature, and the projector between them."""

    def __init__(self, loss: Callable[..., Tensor], projector: Mapping[str, Any]) -> None:
        super().__init__()
        self.loss, self.projector = loss, Projector(**projector)

    def forward(self, student: Tensor, teachers: Sequence[Tensor], mask: Tensor | None = None) -> Tensor:
        """The raw loss, a scalar; `teachers` is the one feature to be matched."""
        s, t = self.projector(student, teachers[0])
        return self.loss(s, t, mask, **self.projector.learned)


class MixedTerm(nn.Module):
    """The loss between a student feature and a mixture of teacher features.

    Where the weights of the mixture are learned, moving them away from the recipe's costs a penalty in units of
    `scale`, the loss at the start.
    """

    def __init__(
        self, loss: Callable[..., Tensor], projector: Mapping[str, Any], mixture: Mapping[str, Any], scale: float
    ) -> None:
        super().__init__()
        self.loss, self.projector, self.scale = loss, Projector(**projector), scale
        self.mixture = Mixture(**mixture)

    def forward(self, student: Tensor, teachers: Sequence[Tensor], mask: Tensor | None = None) -> Tensor:
        """The raw loss, a scalar; `teachers` are the features to be mixed."""
        s, stacked = self.projector(student, self.mixture.stack(teachers))
        value = self.loss(s, self.mixture(stacked, mask), mask, **self.projector.learned)
        return value + self.scale * self.mixture.anchor()


def logits_of(output: Any) -> Tensor:
    """The class scores in a network's output."""
    if isinstance(output, Tensor):
        return output
    if hasattr(output, "logits"):
        return output.logits  # type: ignore[no-any-return]
    return output["logits"] if isinstance(output, Mapping) else output[0]  # type: ignore[no-any-return]
