"""A written export -> proof that it gives the trial's loss, by running it on the trial's first batch."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from mapsearch.core.errors import ExportError, FrameworkMissing, MapsearchError
from mapsearch.core.space import RecipeSpace
from mapsearch.core.spec import TrainSpec
from mapsearch.exports.attached import AttachedLoss, AttachedRecipe
from mapsearch.exports.capability import expressed
from mapsearch.exports.source import ExportSource
from mapsearch.exports.targets import target_named
from mapsearch.losses.recipe_loss import RecipeLoss
from mapsearch.tasks.batches import step_seed, train_batches
from mapsearch.tasks.loading import LoadedTask, describe, seed_everything
from mapsearch.tasks.outputs import matched_outputs
from mapsearch.tasks.precision import forward_precision

TOLERANCE = 1e-5
"""Largest relative difference that counts as equal: float32 sums in another order."""

Attach = Callable[[nn.Module, nn.Module], AttachedLoss]


@dataclass(frozen=True)
class VerifyReport:
    """The same numbers from three sides, on the first batch of the reference run.

    `loss_*` is the total loss of step 0, `gradient_*` the norm of its gradient at the student's
    parameters, `faded_*` the total when the feature part has faded by half. `here` is the recipe as the
    target can express it. The trial recorded the first only.
    """

    loss_in_trial: float
    loss_of_trial_here: float
    loss_here: float
    loss_exported: float
    gradient_here: float
    gradient_exported: float
    faded_here: float
    faded_exported: float

    @property
    def equal(self) -> bool:
        """Whether the export gives the trial's loss."""
        return not self.differences

    @property
    def differences(self) -> tuple[str, ...]:
        """What differs by more than the tolerance."""
        rows = (
            ("loss of the trial and of its recipe here", self.loss_in_trial, self.loss_of_trial_here),
            ("loss of the recipe and of the file", self.loss_here, self.loss_exported),
            ("student gradient norm of the recipe and of the file", self.gradient_here, self.gradient_exported),
            ("half-faded loss of the recipe and of the file", self.faded_here, self.faded_exported),
        )
        return tuple(
            f"the {what} must be equal to {TOLERANCE:g} relative, but got {one:.8g} and {other:.8g}"
            for what, one, other in rows
            if not math.isclose(one, other, rel_tol=TOLERANCE, abs_tol=1e-9)
        )


def verify(
    path: Path, target: str, source: ExportSource, loaded: LoadedTask, space: RecipeSpace, train: TrainSpec
) -> VerifyReport:
    """Load the written file, run it on the first batch of the reference run and compare; then train one step.

    The exported loss gets the projector weights of the trial's first step, which its seed gives. It is held
    against the recipe as the target can express it, which is the trial's where nothing was lost. After the
    step the projectors must have moved, and the student's weights must fit the bare student.

    Args:
        space: the layers of the loaded's networks.
        train: the training of the study; its batch size decides the batch.

    Raises:
        ExportError: the target is unknown, the file cannot be run, or something differs; all at once.
        FrameworkMissing: what runs the file is not installed.
        MappingError: the recipe is no longer legal between the networks' layers.
    """
    chosen = target_named(target)
    if chosen.missing:
        raise FrameworkMissing(
            f"running it needs {', '.join(chosen.missing)}, which is not installed; {chosen.install}, then "
            f"`mapsearch export {source.study} --to {target} --verify {path}`"
        )
    told, masked = expressed(source, chosen.capability, ()), chosen.capability.masks
    loss = RecipeLoss(told.recipe, space.student, space.teacher, told.seed).to(loaded.device)
    chosen.adapt(loss)
    loss.restore(told.scales, told.norms)

    def exported(student: nn.Module, teacher: nn.Module) -> AttachedLoss:
        attached = chosen.load(path, space, student, teacher).to(loaded.device)
        try:
            _copy_parameters(loss, attached, path)
        except ExportError:
            attached.close()
            raise
        return attached

    of_trial = _loss_of_trial(loaded, space, train, source)
    here = _measure(_Side(loaded, train, told, masked, lambda student, teacher: AttachedRecipe(loss, student, teacher)))
    side = _Side(loaded, train, told, masked, exported)
    try:
        there = _measure(side)
        problems = [] if chosen.capability.projector == "untrained" else _problems_of_a_step(side)
    except ExportError:
        raise
    except MapsearchError as error:
        raise ExportError(*(f"{path}: {problem}" for problem in error.problems)) from None
    except Exception as error:  # the file may have been edited into anything
        raise ExportError(f"{path}: the file cannot be loaded and run: {describe(error)}") from error
    report = VerifyReport(source.first_loss, of_trial, here[0], there[0], here[1], there[1], here[2], there[2])
    problems = [*report.differences, *problems]
    if problems:
        raise ExportError(*(f"{path}: {problem}" for problem in problems))
    return report


@dataclass(frozen=True)
class _Side:
    """One of the losses that are compared: what is run, on what, and how it is put on a new student."""

    loaded: LoadedTask
    train: TrainSpec
    source: ExportSource
    masked: bool
    attach: Attach


def _measure(side: _Side) -> tuple[float, float, float]:
    """Loss and student gradient norm of step 0, and the loss when the feature part has faded by half."""
    student = side.loaded.new_student(side.source.seed)
    parameters = [p for p in student.parameters() if p.requires_grad]  # before a framework adds its own
    attached = side.attach(student, side.loaded.teacher)
    try:
        loss = _total(side, student, attached, progress=0.0)
        gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
        norm = math.sqrt(math.fsum(float(g.double().square().sum()) for g in gradients if g is not None))
        faded = _total(side, student, attached, progress=(side.source.recipe.anneal or 1.0) / 2)
        return float(loss.detach()), norm, float(faded.detach())
    finally:
        attached.close()


def _loss_of_trial(loaded: LoadedTask, space: RecipeSpace, train: TrainSpec, source: ExportSource) -> float:
    """The loss of step 0 by the trial's whole recipe, whatever a target makes of it."""
    loss = RecipeLoss(source.recipe, space.student, space.teacher, source.seed).to(loaded.device)
    loss.restore(source.scales, source.norms)
    side = _Side(loaded, train, source, True, lambda student, teacher: AttachedRecipe(loss, student, teacher))
    return _measure(side)[0]


def _problems_of_a_step(side: _Side) -> list[str]:
    """What is wrong after one optimizer step: a projector at rest, or a student that no longer fits the bare one."""
    student = side.loaded.new_student(side.source.seed)
    taught = list(student.parameters())
    attached = side.attach(student, side.loaded.teacher)
    problems = []
    try:
        learned = list(attached.parameters())
        before = [parameter.detach().clone() for parameter in learned]
        _total(side, student, attached, progress=0.0).backward()  # type: ignore[no-untyped-call]
        torch.optim.SGD([*taught, *learned], lr=0.1).step()
        n_still = sum(torch.equal(old, new) for old, new in zip(before, learned, strict=True))
        if n_still:
            problems.append(f"the projectors must learn, but a step left {n_still} of {len(learned)} parameters as is")
    finally:
        attached.close()
    try:
        side.loaded.new_student(side.source.seed).load_state_dict(student.state_dict())
    except RuntimeError as error:
        problems.append(f"the trained student must load into the bare one, but does not: {describe(error)}")
    return problems


def _total(side: _Side, student: nn.Module, attached: AttachedLoss, progress: float) -> Tensor:
    """The total loss on the first batch, drawn and computed as the trial's first step did."""
    loaded, source, train = side.loaded, side.source, side.train
    batch = next(train_batches(loaded, train.batch_size, source.seed, source.n_steps))
    with torch.no_grad(), forward_precision(train.precision, loaded.device):
        taught = loaded.task.forward(loaded.teacher, batch)
        teacher_logits = matched_outputs(loaded.task, taught) if source.recipe.uses_logits else None
    seed_everything(step_seed(source.seed, 0))  # so that dropout is the same
    with forward_precision(train.precision, loaded.device):
        output = loaded.task.forward(student, batch)
        task_loss, logits = loaded.task.loss(output, batch), matched_outputs(loaded.task, output)
    return attached(task_loss, logits, teacher_logits, loaded.task.mask(batch) if side.masked else None, progress)


def _copy_parameters(loss: RecipeLoss, attached: AttachedLoss, path: Path) -> None:
    ours, theirs = list(loss.parameters()), list(attached.parameters())
    shapes = [[list(p.shape) for p in parameters] for parameters in (ours, theirs)]
    if shapes[0] != shapes[1]:
        raise ExportError(f"{path}: the projectors must have the shapes {shapes[0]}, but the file has {shapes[1]}")
    with torch.no_grad():
        for one, other in zip(ours, theirs, strict=True):
            other.copy_(one)
