"""AttachedLoss: the interface of every exported loss once it is loaded, and `RecipeLoss` behind that interface."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from mapsearch.features.taps import FeatureTaps
from mapsearch.losses.recipe_loss import Masks, RecipeLoss


@dataclass(frozen=True)
class ExportedBatch:
    """What an exported loss receives for a batch that both networks have just seen.

    `mask` says which positions are real, bool `[B, L]`, one for all or several by name and glob of the layers; None:
    all. `progress` is the fraction of the training done, which has `n_batches`.
    """

    task_loss: Tensor
    student_outputs: Tensor | None
    teacher_outputs: Tensor | None
    mask: Masks = None
    progress: float = 0.0
    n_batches: int = 1


@dataclass(frozen=True)
class AttachedLoss:
    """A loss with hooks on a student and a teacher.

    `module` holds its projectors. `total` is the loss of a batch, a scalar. `close` removes the hooks from both
    networks. `own_task_loss` is the framework's own loss on the labels, of the student's output and the batch; None
    where it is given the task's.
    """

    module: nn.Module
    total: Callable[[ExportedBatch], Tensor]
    close: Callable[[], None]
    own_task_loss: Callable[[Any, Any], Tensor] | None = None

    @property
    def parameters(self) -> list[nn.Parameter]:
        """Those of the projectors and mixtures, in the order of `RecipeLoss`."""
        found = self.module.parameters() if isinstance(self.module, RecipeLoss) else term_parameters(self.module)
        return list(found)


def attached_recipe(loss: RecipeLoss, student: nn.Module, teacher: nn.Module) -> AttachedLoss:
    """`RecipeLoss` as an `AttachedLoss`.

    Raises:
        LayerNotFound: a network has no such layer.
    """
    mapping = loss.recipe.mapping
    sides = ((student, mapping.student_layers), (teacher, mapping.teacher_layers))
    with ExitStack() as stack:  # copies, as later layers may overwrite in place
        taps = [stack.enter_context(FeatureTaps(model, layers, copied=layers)) for model, layers in sides]

        def total(batch: ExportedBatch) -> Tensor:
            outputs, features = (batch.student_outputs, batch.teacher_outputs), [tap.take() for tap in taps]
            return loss(batch.task_loss, *outputs, *features, batch.mask, batch.progress)  # type: ignore[no-any-return]

        return AttachedLoss(loss, total, stack.pop_all().close)


def term_parameters(loss: nn.Module) -> Iterator[nn.Parameter]:
    """The parameters of an exported loss in the order of `RecipeLoss`: first all projectors, then all mixtures."""
    for name in ("projector", "mixture"):
        for path, module in loss.named_modules():
            if path.rpartition(".")[2] == name:
                yield from module.parameters()
