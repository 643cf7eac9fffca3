"""One student of a cohort with all that trains it, and how its run ends."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import SGD, AdamW, Optimizer

from mapsearch.core.errors import LayerNotFound
from mapsearch.core.runs import RunPlan, RunResult
from mapsearch.core.space import RecipeSpace
from mapsearch.core.spec import TrainSpec
from mapsearch.features.taps import FeatureTaps
from mapsearch.losses.gradients import DOMINATING, INERT, check_optimizer
from mapsearch.losses.recipe_loss import RecipeLoss
from mapsearch.tasks.loading import LoadedTask, describe
from mapsearch.tasks.memory import is_out_of_memory


@dataclass
class Member:
    """One student and how its run goes.

    `recent` holds, for each step since the last look, the values `[terms + 1]` of the terms and the
    gradient's norm; `busy` the seconds spent on it since then.
    """

    plan: RunPlan
    student: nn.Module
    loss: RecipeLoss
    optimizer: Optimizer
    parameters: list[nn.Parameter]
    taps: FeatureTaps
    terms: tuple[str, ...] = ()
    recent: list[Tensor] = field(default_factory=list)
    curve: list[tuple[int, float]] = field(default_factory=list)
    shares: tuple[float, ...] = ()
    first_loss: float | None = None
    seconds: float = 0.0
    busy: float = 0.0

    def result(self, state: Any, **fields: Any) -> RunResult:
        """How the run ended."""
        loss = self.loss
        return RunResult(
            self.plan.key, state, attempt=self.plan.attempt, seconds=self.seconds + self.busy, curve=tuple(self.curve),
            scales=tuple(loss.scales.tolist()), norms=loss.norms, mixed_weights=loss.mixed_weights,
            gradient_shares=self.shares, first_loss=self.first_loss, notes=tuple(self._notes()), **fields,
        )  # fmt: skip

    def _notes(self) -> Iterator[str]:
        if self.plan.n_parts > 1:
            parts = f"each batch in {self.plan.n_parts} parts for want of memory"
            yield f"{parts}: what is computed over a batch sees less of it"
        said = ((INERT, "inert"), (DOMINATING, "dominating"))
        for name, share in zip(self.loss.names, self.shares, strict=False):
            if share < INERT or share > DOMINATING:
                yield f"term `{name}` is {said[share > INERT][1]}: {share:.2%} of the gradient"
        if self.loss.gate is not None:
            for name, part in zip(self.loss.names, self.loss.gate.dropped(), strict=True):
                if part:
                    yield f"term `{name}` opposed the task in {part:.0%} of the steps"


def open_member(
    loaded: LoadedTask, space: RecipeSpace, train: TrainSpec, plan: RunPlan, memory_format: torch.memory_format
) -> Member:
    """A fresh student under the plan's seed; its loss is still to be calibrated and its taps to be entered.

    Raises:
        LayerNotFound: the student lacks a layer of the recipe.
    """
    student = loaded.new_student(plan.seed).to(memory_format=memory_format)  # type: ignore[call-overload]
    loss = RecipeLoss(plan.recipe, space.student, space.teacher, plan.seed).to(loaded.device)
    taps = FeatureTaps(student, plan.recipe.mapping.student_layers)
    parameters = [p for p in [*student.parameters(), *loss.parameters()] if p.requires_grad]
    optimizer: Optimizer
    if train.optimizer == "sgd":
        optimizer = SGD(parameters, train.lr, momentum=0.9, nesterov=True, weight_decay=train.weight_decay, fused=True)
    else:
        optimizer = AdamW(parameters, train.lr, weight_decay=train.weight_decay, fused=True)
    check_optimizer(loss, optimizer)
    return Member(plan, student, loss, optimizer, parameters, taps)


def failed(error: Exception, result: RunResult) -> RunResult:
    """The result with what went wrong; what is no single run's fault goes on up.

    Raises:
        Exception: the error itself, when memory does not suffice or the accelerator is of no more use.
    """
    if is_out_of_memory(error) or isinstance(error, torch.AcceleratorError):
        raise error
    if isinstance(error, LayerNotFound):
        return replace(result, state="invalid", error=str(error))
    return replace(result, error=describe(error))
