"""The feature part of an exported PyTorch file that mixes teacher features; `torch_module` pastes its source."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from mapsearch.exports.hooked_features import LayerHooks, fade, require_gradient
from mapsearch.losses.aggregation import Mixture
from mapsearch.losses.projectors import Projector


class MixedDistillation(nn.Module):
    """The sum over rows of `multiplier * (loss(projected student feature, mixture) + scale * anchor)`, fading to zero.

    A row's mixture is one target made of its teacher features; `anchor` is zero unless its weights are learned.
    """

    def __init__(
        self,
        student: nn.Module,
        teacher: nn.Module,
        rows: Sequence[tuple[Any, ...]],
        learned: bool,
        loss: Callable[..., Tensor],
        anneal: float | None,
    ) -> None:
        super().__init__()
        self.rows, self.loss, self.anneal = rows, loss, anneal
        self.projectors = nn.ModuleList(Projector(*shape) for *_, shape in rows)
        self.mixtures = nn.ModuleList(
            Mixture(kind, parts, norms, learned) for _, _, parts, norms, _, _, (_, kind, *_) in rows
        )
        self.student = LayerHooks("student", student, [row[0] for row in rows])
        self.teacher = LayerHooks("teacher", teacher, [path for row in rows for path in row[1]])
        self.student.attach()
        self.teacher.attach()

    def forward(self, mask: Tensor | None = None, progress: float = 0.0) -> Tensor:
        """The feature part of the batch both networks have just seen; half a cosine fades it until `anneal`."""
        student, teacher = self.student.take(), self.teacher.take()
        require_gradient(student)
        losses = []
        for row, projector, mixture in zip(self.rows, self.projectors, self.mixtures, strict=True):
            assert isinstance(mixture, Mixture)
            assert isinstance(projector, Projector)
            path, paths, _, _, multiplier, scale, _ = row
            s, stacked = projector(student[path], mixture.stack([teacher[p] for p in paths]))
            value = self.loss(s, mixture(stacked, mask), mask, **projector.learned)
            losses.append(multiplier * (value + scale * mixture.anchor()))
        return fade(self.anneal, progress) * torch.stack(losses).sum()

    def close(self) -> None:
        """Remove the hooks from both networks."""
        self.student.remove()
        self.teacher.remove()
