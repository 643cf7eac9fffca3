"""A written export -> proof that it computes the trial's loss, by running it on the trial's first batch."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from mapsearch.core.errors import ExportError, FrameworkMissing, MapsearchError, TaskError, WrongExport
from mapsearch.core.space import RecipeSpace
from mapsearch.core.train_spec import TrainSpec
from mapsearch.exports.capability import restricted_to
from mapsearch.exports.frameworks.arithmetic import tolerance, without_tf32
from mapsearch.exports.frameworks.attached import AttachedLoss, AttachedRecipe, ExportedBatch
from mapsearch.exports.frameworks.report import VerifyReport
from mapsearch.exports.frameworks.table import FRAMEWORKS
from mapsearch.exports.source import ExportSource
from mapsearch.exports.targets import target_named
from mapsearch.losses.recipe_loss import RecipeLoss
from mapsearch.tasks.loaded_task import LoadedTask
from mapsearch.tasks.outputs import matched_outputs
from mapsearch.tasks.precision import forward_precision
from mapsearch.tasks.seeding import seed_everything, step_seed
from mapsearch.tasks.training_batches import train_batches
from mapsearch.tasks.user_code import describe, user_code

Attach = Callable[[nn.Module, nn.Module], AttachedLoss]

_NOT_OF_THE_FILE = (ImportError, MemoryError, torch.OutOfMemoryError, OSError)
"""Errors while a file is run that say nothing about the file."""


@dataclass(frozen=True)
class _Side:
    """One of the losses that are compared: what is run, on what, and how it is attached to a new student."""

    loaded: LoadedTask
    train: TrainSpec
    source: ExportSource
    masked: bool
    attach: Attach


def verify(
    path: Path, target: str, source: ExportSource, loaded: LoadedTask, space: RecipeSpace, train: TrainSpec
) -> VerifyReport:
    """Load the written file, run it on the first batch of the reference run and compare; then train one step.

    The exported loss gets the projector weights of the trial's first step, which its seed gives. It is compared with
    the recipe as the target can express it, which is the trial's where nothing was left out: both run here, in the
    study's precision and without TF32, so that they must agree closely. The loss that the trial recorded may come
    from another device and is compared loosely. After the step the projectors must have moved, and the student's
    weights must fit the bare student.

    Args:
        space: the layers of the task's networks.
        train: the training of the study; its batch size decides the batch.

    Raises:
        WrongExport: the file cannot be run, or computes another loss than its recipe; everything that differs at once.
        FrameworkMissing: what runs the file is not installed.
        MapsearchError: the target is unknown, or something else than the file prevents the comparison, such as the
            task's data, a changed teacher or memory.
    """
    name, chosen = target_named(target)
    loaded = loaded.drawn(source.seed)
    if chosen.missing:
        raise FrameworkMissing(
            f"running it needs {', '.join(chosen.missing)}, which is not installed; {chosen.install}, then "
            f"`mapsearch export {source.study} --to {target} --verify {path}`"
        )
    restricted, masked = restricted_to(source, chosen.capability), chosen.capability.masks
    loss = _recipe_loss(restricted, space, loaded)
    FRAMEWORKS[name].adapt(loss)

    def attach(student: nn.Module, teacher: nn.Module) -> AttachedLoss:
        attached = FRAMEWORKS[name].load(path, space, student, teacher).to(loaded.device)
        try:
            _copy_parameters(path, loss, attached)
        except WrongExport:
            attached.close()
            raise
        return attached

    with without_tf32():
        with user_code("the first step of the trial"):
            trial = _measure(_own_side(_recipe_loss(source, space, loaded), loaded, train, source, masked=True))
            here = _measure(_own_side(loss, loaded, train, restricted, masked))
        side = _Side(loaded, train, restricted, masked, attach)
        file, problems = _measured_file(path, side, learns=chosen.capability.projector != "untrained")
    close = tolerance(train.precision, loaded.device)
    report = VerifyReport(source.first_loss, trial[0], here, file, close, train.precision)
    problems = [*report.differences, *problems]
    if problems:
        raise WrongExport(*(f"{path}: {problem}" for problem in problems))
    if report.unexplained:
        raise ExportError(f"{path}: the file gives the loss of its recipe here, but {report.unexplained}")
    return report


def _measured_file(path: Path, side: _Side, learns: bool) -> tuple[tuple[float, float, float], list[str]]:
    """What `_measure` returns for the file, and what is wrong after a training step."""
    try:
        return _measure(side), _problems_of_a_step(side) if learns else []
    except (FrameworkMissing, TaskError):
        raise
    except ExportError as error:  # names the file already
        raise WrongExport(*error.problems) from None
    except MapsearchError as error:
        raise WrongExport(*(f"{path}: {problem}" for problem in error.problems)) from None
    except _NOT_OF_THE_FILE as error:
        raise ExportError(f"{path}: the file cannot be run here: {describe(error)}") from error
    except Exception as error:  # the file may have been edited into anything
        raise WrongExport(f"{path}: the file cannot be loaded and run: {describe(error)}") from error


def _recipe_loss(source: ExportSource, space: RecipeSpace, loaded: LoadedTask) -> RecipeLoss:
    loss = RecipeLoss(source.recipe, space.student, space.teacher, source.seed).to(loaded.device)
    loss.restore(source.scales, source.norms)
    return loss


def _own_side(loss: RecipeLoss, loaded: LoadedTask, train: TrainSpec, source: ExportSource, masked: bool) -> _Side:
    return _Side(loaded, train, source, masked, lambda student, teacher: AttachedRecipe(loss, student, teacher))


def _measure(side: _Side) -> tuple[float, float, float]:
    """Loss and student gradient norm of step 0, and the loss when the feature loss has faded by half, or has ended."""
    recipe = side.source.recipe
    later = recipe.features_until if recipe.features_until < 1 else (recipe.anneal or 1.0) / 2
    student = side.loaded.new_student(side.source.seed)
    parameters = [p for p in student.parameters() if p.requires_grad]  # before a framework adds its own
    attached = side.attach(student, side.loaded.teacher)
    try:
        loss = _total(side, student, attached, progress=0.0)
        gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
        norm = math.sqrt(math.fsum(float(g.double().square().sum()) for g in gradients if g is not None))
        faded = _total(side, student, attached, progress=later)
        return float(loss.detach()), norm, float(faded.detach())
    finally:
        attached.close()


def _problems_of_a_step(side: _Side) -> list[str]:
    """What is wrong after one optimizer step: a projector that did not learn, or a student that does not load."""
    student = side.loaded.new_student(side.source.seed)
    student_parameters = list(student.parameters())
    attached = side.attach(student, side.loaded.teacher)
    problems = []
    try:
        learned = list(attached.parameters())
        before = [parameter.detach().clone() for parameter in learned]
        _total(side, student, attached, progress=0.0).backward()  # type: ignore[no-untyped-call]
        torch.optim.SGD([*student_parameters, *learned], lr=0.1).step()
        n_still = sum(torch.equal(old, new) for old, new in zip(before, learned, strict=True))
        if n_still:
            problems.append(f"the projectors must learn, but a step left {n_still} of {len(learned)} unchanged")
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
    batch = next(train_batches(loaded, train.batch_size, source.seed, 1))
    with torch.no_grad(), forward_precision(train.precision, loaded.device):
        teacher_output = loaded.task.forward(loaded.teacher, batch)
        teacher_outputs = matched_outputs(loaded.task, teacher_output) if source.recipe.uses_outputs else None
    seed_everything(step_seed(source.seed, 0))  # so that dropout is the same
    with forward_precision(train.precision, loaded.device):
        output = loaded.task.forward(student, batch)
        task_loss = loaded.task.loss(output, batch)
        outputs = matched_outputs(loaded.task, output)
    mask = loaded.task.mask(batch) if side.masked else None
    return attached(
        ExportedBatch(torch.zeros(()) if task_loss is None else task_loss, outputs, teacher_outputs, mask, progress)
    )


def _copy_parameters(path: Path, loss: RecipeLoss, attached: AttachedLoss) -> None:
    ours, theirs = list(loss.parameters()), list(attached.parameters())
    shapes = [[list(p.shape) for p in parameters] for parameters in (ours, theirs)]
    if shapes[0] != shapes[1]:
        raise WrongExport(f"{path}: the projectors must have the shapes {shapes[0]}, but the file has {shapes[1]}")
    with torch.no_grad():
        for one, other in zip(ours, theirs, strict=True):
            other.copy_(one)
