"""The feature terms of exported files, each with its projector."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from mapsearch.losses.aggregation import Mixture
from mapsearch.losses.projectors import Projector


class FeatureTerm(nn.Module):
    """The loss between a student layer and its teacher layers, and the projector between them.

    Args:
        weight: part of the term among all terms.
        scale: its loss at the start, by which it is divided.
    """

    def __init__(
        self,
        student: str,
        teachers: Sequence[str],
        weight: float,
        scale: float,
        loss: Callable[..., Tensor],
        projector: Projector,
    ) -> None:
        super().__init__()
        self.student, self.teachers, self.weight, self.scale = student, teachers, weight, scale
        self.loss, self.projector = loss, projector

    def forward(
        self, student: Mapping[str, Tensor], teacher: Mapping[str, Tensor], mask: Tensor | None = None
    ) -> Tensor:
        """The raw loss of the features by layer, a scalar."""
        s, t = self.projector(student[self.student], teacher[self.teachers[0]])
        return self.loss(s, t, mask, **self.projector.learned)


class MixedTerm(FeatureTerm):
    """The loss between a student layer and a mixture of teacher layers.

    Where the weights of the mixture are learned, moving them away from the recipe's costs a penalty in units of
    `scale`.
    """

    def __init__(self, mixture: Mixture, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.mixture = mixture

    def forward(
        self, student: Mapping[str, Tensor], teacher: Mapping[str, Tensor], mask: Tensor | None = None
    ) -> Tensor:
        """The raw loss of the features by layer, a scalar."""
        mixed = self.mixture.stack([teacher[path] for path in self.teachers])
        s, stacked = self.projector(student[self.student], mixed)
        value = self.loss(s, self.mixture(stacked, mask), mask, **self.projector.learned)
        return value + self.scale * self.mixture.anchor()


def logits_of(output: Any) -> Tensor:
    """The class scores in a network's output."""
    if isinstance(output, Tensor):
        return output
    if hasattr(output, "logits"):
        return output.logits  # type: ignore[no-any-return]
    return output["logits"] if isinstance(output, Mapping) else output[0]  # type: ignore[no-any-return]
