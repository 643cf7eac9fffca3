"""AttachedLoss: the interface of every exported loss once it is loaded, and `RecipeLoss` behind that interface."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor, nn

from mapsearch.features.taps import FeatureTaps
from mapsearch.losses.recipe_loss import Masks, RecipeLoss


@dataclass(frozen=True)
class ExportedBatch:
    """What an exported loss receives for a batch that both networks have just seen.

    `mask` says which positions are real, bool `[B, L]`, one for all or several by name and glob of the layers; None:
    all. `progress` is the fraction of the training done, which has `n_batches`. `batch` is what the networks were
    given, and `output` what the student returned.
    """

    task_loss: Tensor
    student_outputs: Tensor | None
    teacher_outputs: Tensor | None
    mask: Masks = None
    progress: float = 0.0
    n_batches: int = 1
    batch: Any = None
    output: Any = None


class AttachedLoss(ABC):
    """A loss with hooks on a student and a teacher; `module` holds its projectors."""

    module: nn.Module

    @abstractmethod
    def __call__(self, batch: ExportedBatch) -> Tensor:
        """The total loss of the batch, a scalar."""

    def parameters(self) -> Iterator[nn.Parameter]:
        """The parameters of the projectors, in the order of `RecipeLoss`."""
        return term_parameters(self.module)

    def to(self, device: torch.device) -> Self:
        """The loss with its projectors on the device."""
        self.module.to(device)
        return self

    @abstractmethod
    def close(self) -> None:
        """Remove the hooks from both networks."""

    def own_task_loss(self, batch: ExportedBatch) -> Tensor | None:
        """The loss on the labels by the framework itself; None where it is given the task's."""
        return None


class AttachedRecipe(AttachedLoss):
    """`RecipeLoss` as an `AttachedLoss`.

    Raises:
        LayerNotFound: a network has no such layer.
    """

    def __init__(self, loss: RecipeLoss, student: nn.Module, teacher: nn.Module) -> None:
        mapping = loss.recipe.mapping
        self.loss = self.module = loss
        with ExitStack() as stack:  # copies, as later layers may overwrite in place
            self.taps = (
                stack.enter_context(FeatureTaps(student, mapping.student_layers, copied=mapping.student_layers)),
                stack.enter_context(FeatureTaps(teacher, mapping.teacher_layers, copied=mapping.teacher_layers)),
            )
            self.hooks = stack.pop_all()

    def __call__(self, batch: ExportedBatch) -> Tensor:
        """The sum of the recipe's terms."""
        features = [taps.take() for taps in self.taps]
        total: Tensor = self.loss(
            batch.task_loss, batch.student_outputs, batch.teacher_outputs, *features, batch.mask, batch.progress
        )
        return total

    def parameters(self) -> Iterator[nn.Parameter]:
        """Those of the recipe's projectors and mixtures."""
        return self.loss.parameters()

    def close(self) -> None:
        """Remove the hooks from both networks."""
        self.hooks.close()


def term_parameters(loss: nn.Module) -> Iterator[nn.Parameter]:
    """The parameters of an exported loss in the order of `RecipeLoss`: first all projectors, then all mixtures."""
    for name in ("projector", "mixture"):
        for path, module in loss.named_modules():
            if path.rpartition(".")[2] == name:
                yield from module.parameters()
