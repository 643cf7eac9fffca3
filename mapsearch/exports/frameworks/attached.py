"""AttachedLoss: the interface of every exported loss once it is loaded, and `RecipeLoss` behind that interface."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Protocol, Self

import torch
from torch import Tensor, nn

from mapsearch.features.taps import FeatureTaps
from mapsearch.losses.recipe_loss import RecipeLoss


@dataclass(frozen=True)
class ExportedBatch:
    """What an exported loss receives for a batch that both networks have just seen.

    `mask` says which positions are real, bool `[B, L]`; None: all. `progress` is the fraction of the schedule done.
    """

    task_loss: Tensor
    student_outputs: Tensor | None
    teacher_outputs: Tensor | None
    mask: Tensor | None = None
    progress: float = 0.0


class AttachedLoss(Protocol):
    """A loss with hooks on a student and a teacher."""

    def __call__(self, batch: ExportedBatch) -> Tensor:
        """The total loss of the batch, a scalar."""

    def parameters(self) -> Iterator[nn.Parameter]:
        """The parameters of the projectors, in the order of `RecipeLoss`."""

    def to(self, device: torch.device) -> Self:
        """The loss with its projectors on the device."""

    def close(self) -> None:
        """Remove the hooks from both networks."""


class AttachedRecipe(nn.Module):
    """`RecipeLoss` as an `AttachedLoss`.

    Raises:
        LayerNotFound: a network has no such layer.
    """

    def __init__(self, loss: RecipeLoss, student: nn.Module, teacher: nn.Module) -> None:
        super().__init__()
        mapping = loss.recipe.mapping
        self.loss = loss
        with ExitStack() as stack:  # copies, as later layers may overwrite in place
            self.taps = (
                stack.enter_context(FeatureTaps(student, mapping.student_layers, copied=mapping.student_layers)),
                stack.enter_context(FeatureTaps(teacher, mapping.teacher_layers, copied=mapping.teacher_layers)),
            )
            self.hooks = stack.pop_all()

    def forward(self, batch: ExportedBatch) -> Tensor:
        """The sum of the recipe's terms."""
        features = [taps.take() for taps in self.taps]
        total: Tensor = self.loss(
            batch.task_loss, batch.student_outputs, batch.teacher_outputs, *features, batch.mask, batch.progress
        )
        return total

    def close(self) -> None:
        """Remove the hooks from both networks."""
        self.hooks.close()


def term_parameters(terms: Sequence[nn.Module]) -> Iterator[nn.Parameter]:
    """The parameters of exported terms in the order of `RecipeLoss`: first all projectors, then all mixtures."""
    for name in ("projector", "mixture"):
        for term in terms:
            for child, module in term.named_children():
                if child == name:
                    yield from module.parameters()
