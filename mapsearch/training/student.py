"""One student with all that trains it, and how its run ends."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.swa_utils import AveragedModel

from mapsearch.core.errors import LayerNotFound
from mapsearch.core.runs import RunPlan, RunResult
from mapsearch.core.space import RecipeSpace
from mapsearch.core.train_spec import TrainSpec
from mapsearch.features.taps import FeatureTaps
from mapsearch.losses.gradients import DOMINATING_SHARE, INERT_SHARE, TermGradient, check_optimizer
from mapsearch.losses.recipe_loss import RecipeLoss
from mapsearch.tasks.loaded_task import LoadedTask
from mapsearch.tasks.memory import is_out_of_memory
from mapsearch.tasks.user_code import describe
from mapsearch.training.averaging import open_average
from mapsearch.training.optimizer import open_optimizer
from mapsearch.training.parameter_groups import parameter_groups
from mapsearch.training.processes import ALONE, Processes
from mapsearch.training.stopwatch import Stopwatch

MOST_TERM_POINTS = 40
"""Steps at which the terms of a run's loss are kept."""


@dataclass
class StudentTraining:
    """One student, its loss and optimizer, and how its run goes.

    `recent` holds, for each step since the last look at them, the values `[terms + 1]` of the terms and the
    gradient's norm. `seconds` are those of the student up to then, `stopwatch` holds those since. `average` is the
    mean of the student's weights, where the study wants one; `overwritten` are layers that are captured as copies,
    `processes` those that train it together. `first_gradients` are those of the raw terms at the first step, kept for
    all students that begin alike.
    """

    plan: RunPlan
    student: nn.Module
    loss: RecipeLoss
    optimizer: Optimizer
    taps: FeatureTaps
    stopwatch: Stopwatch
    average: AveragedModel | None = None
    overwritten: tuple[str, ...] = ()
    processes: Processes = ALONE
    first_gradients: dict[tuple[object, ...], TermGradient] = field(default_factory=dict)
    terms: tuple[str, ...] = ()
    recent: list[Tensor] = field(default_factory=list)
    curve: list[tuple[int, float]] = field(default_factory=list)
    gradient_shares: tuple[float, ...] = ()
    first_loss: float | None = None
    seconds: float = 0.0
    term_curve: list[tuple[int, tuple[float, ...]]] = field(default_factory=list)

    @property
    def parameters(self) -> list[nn.Parameter]:
        """All that the optimizer trains."""
        return [p for group in self.optimizer.param_groups for p in group["params"]]

    @property
    def measured(self) -> nn.Module:
        """The network that is measured: the student, or the average of its weights."""
        return self.student if self.average is None else self.average.module

    @property
    def networks(self) -> tuple[nn.Module, ...]:
        """All that training keeps in memory."""
        return tuple(network for network in (self.student, self.loss, self.average) if network is not None)

    def hook(self, stack: ExitStack, overwritten: tuple[str, ...] = ()) -> None:
        """Capture the student's features until the stack closes; those that are overwritten in place as copies."""
        self.overwritten = overwritten
        paths = self.plan.recipe.mapping.student_layers
        self.taps = stack.enter_context(FeatureTaps(self.student, paths, overwritten))

    def result(self, state: Any, **fields: Any) -> RunResult:
        """How the run ended."""
        loss = self.loss
        return RunResult(
            self.plan.key, state, seconds=self.seconds + self.stopwatch.take(), curve=tuple(self.curve),
            scales=tuple(loss.scales.tolist()), norms=loss.norms, mixed_weights=loss.mixed_weights,
            gradient_shares=self.gradient_shares, first_loss=self.first_loss, notes=tuple(self._notes()),
            attempt=self.plan.attempt, terms=self.terms if self.term_curve else (),
            term_curve=thinned(self.term_curve), **fields,
        )  # fmt: skip

    def _notes(self) -> Iterator[str]:
        if self.plan.n_parts > 1:
            yield (
                f"too little memory for whole batches: each was worked on in {self.plan.n_parts} parts, and losses "
                "that compare the samples of a batch saw one part at a time"
            )
        for name, share in zip(self.loss.names, self.gradient_shares, strict=False):
            if share < INERT_SHARE:
                yield f"term `{name}` is inert: {share:.2%} of the gradient"
            elif share > DOMINATING_SHARE:
                yield f"term `{name}` is dominating: {share:.2%} of the gradient"
        if self.loss.gate is not None:
            for name, part in zip(self.loss.names, self.loss.gate.dropped(), strict=True):
                if part:
                    yield f"term `{name}` opposed the task in {part:.0%} of the steps"


def thinned(curve: Sequence[tuple[int, tuple[float, ...]]]) -> tuple[tuple[int, tuple[float, ...]], ...]:
    """Every n-th point and the last one, to four digits: what a chart shows, and no more to store."""
    n = -(-len(curve) // MOST_TERM_POINTS)
    kept = curve[len(curve) - 1 :: -n][::-1] if curve else ()
    return tuple((step, tuple(float(f"{value:.4g}") for value in values)) for step, values in kept)


def open_student(
    loaded: LoadedTask, space: RecipeSpace, train: TrainSpec, plan: RunPlan, memory_format: torch.memory_format
) -> StudentTraining:
    """A fresh student under the plan's seed; its loss is still to be calibrated and its features to be captured.

    Raises:
        LayerNotFound: the student lacks a layer of the recipe.
        TaskError: the task's parameter groups are not such.
    """
    student = loaded.new_student(plan.seed).to(memory_format=memory_format)  # type: ignore[call-overload]
    recipe = plan.recipe.acting_until(train.features_until)
    loss = RecipeLoss(recipe, space.student, space.teacher, plan.seed).to(loaded.device)
    average = None if train.ema is None else open_average(student)
    taps = FeatureTaps(student, plan.recipe.mapping.student_layers)
    optimizer = open_optimizer(parameter_groups(loaded.task, student, loss, train), train)
    check_optimizer(loss, optimizer)
    return StudentTraining(plan, student, loss, optimizer, taps, Stopwatch(loaded.device), average)


def shard_student(loaded: LoadedTask, train: TrainSpec, training: StudentTraining) -> None:
    """Leave each process its part of the student, under a new optimizer; what the loss learns stays whole in all."""
    training.processes.shard(training.student)
    groups = parameter_groups(loaded.task, training.student, training.loss, train)
    training.optimizer = open_optimizer(groups, train)
    if train.optimizer == "sgd":
        for group in training.optimizer.param_groups:
            group["fused"] = False  # torch's fused SGD does not take weights in parts


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
