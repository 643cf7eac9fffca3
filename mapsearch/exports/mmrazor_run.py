"""An MMRazor export, run: the losses that its `ConfigurableDistiller` computes, as an `AttachedLoss`."""

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from mapsearch.core.space import RecipeSpace
from mapsearch.exports.attached import AttachedLoss, term_parameters
from mapsearch.exports.pasted import executed, module_name


def plugin_path(path: Path) -> Path:
    """Where the plugin lies: beside the config, by a name that can be imported."""
    return path.with_name(f"{module_name(path)}_plugin.py")


def load(path: Path, space: RecipeSpace, student: nn.Module, teacher: nn.Module) -> AttachedLoss:
    """The distiller that MMRazor builds of the config; the logits are told to it, as no path of theirs is known."""
    without_quantisation()
    from mmengine.config import Config
    from mmrazor.registry import MODELS

    executed(plugin_path(path))
    model = Config.fromfile(str(path), import_custom_modules=False).model
    return AttachedDistiller(MODELS.build(model.distiller), model.task_multiplier, student, teacher)


class AttachedDistiller(nn.Module):
    """A `ConfigurableDistiller` as an `AttachedLoss`."""

    def __init__(self, distiller: Any, task_multiplier: float, student: nn.Module, teacher: nn.Module) -> None:
        super().__init__()
        self.distiller, self.task_multiplier = distiller, task_multiplier
        self.managers = (distiller.student_recorders, distiller.teacher_recorders)
        for manager in self.managers:
            manager.recorders.pop("logits", None)
        distiller.prepare_from_student(student)
        distiller.prepare_from_teacher(teacher)
        for manager in self.managers:
            manager.__enter__()

    def forward(
        self,
        task_loss: Tensor,
        student_logits: Tensor,
        teacher_logits: Tensor | None,
        mask: Tensor | None = None,
        progress: float = 0.0,
    ) -> Tensor:
        """The sum of the losses that MMRazor's algorithm adds up."""
        for manager, logits in zip(self.managers, (student_logits, teacher_logits), strict=True):
            manager.recorders["logits"] = _Told(logits)
        for loss in self.distiller.distill_losses.values():
            loss.progress = progress
        losses = self.distiller.compute_distill_losses()
        for manager in self.managers:
            del manager.recorders["logits"]
        return torch.stack([self.task_multiplier * task_loss, *losses.values()]).sum()

    def parameters(self, recurse: bool = True) -> Iterator[nn.Parameter]:
        """Those of the terms, in the order of `RecipeLoss`."""
        return term_parameters([loss.term for loss in self.distiller.distill_losses.values() if hasattr(loss, "term")])

    def close(self) -> None:
        """Remove the hooks from both networks."""
        for manager in self.managers:
            manager.__exit__(None, None, None)


class _Told:
    """A recorder of what it was told."""

    def __init__(self, logits: Tensor | None) -> None:
        self.logits = logits

    def get_record_data(self, record_idx: int = 0, data_idx: int | None = None) -> list[Tensor | None]:
        return [self.logits]


def without_quantisation() -> None:
    """Let MMRazor import: its quantisation half, which no distiller touches, asks for names that torch dropped."""

    def nothing(name: str) -> type:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {})

    name = "mmrazor.structures.quantization"
    stub = ModuleType(name)
    stub.__path__ = []
    stub.__getattr__ = nothing  # type: ignore[method-assign]
    sys.modules.setdefault(name, stub)
