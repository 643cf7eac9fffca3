"""A written export -> proof that it computes the trial's loss, by running it on the trial's first batch."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from shlex import quote
from typing import Any

import torch
from torch import Tensor, nn

from mapsearch.core.errors import ExportError, FrameworkMissing, MappingError, MapsearchError, TaskError, WrongExport
from mapsearch.core.space import RecipeSpace
from mapsearch.core.train_spec import TrainSpec
from mapsearch.exports.frameworks.attached import AttachedLoss, ExportedBatch, attached_recipe
from mapsearch.exports.frameworks.edits import edited_lines
from mapsearch.exports.frameworks.report import LOOSE_TOLERANCE, Measured, VerifyReport, tolerance
from mapsearch.exports.frameworks.table import FRAMEWORKS
from mapsearch.exports.source import ExportSource
from mapsearch.exports.targets import target_named
from mapsearch.losses.recipe_loss import RecipeLoss
from mapsearch.tasks.loaded_task import LoadedTask
from mapsearch.tasks.memory import is_out_of_memory
from mapsearch.tasks.outputs import matched_outputs
from mapsearch.tasks.precision import Precision, forward_precision, without_tf32
from mapsearch.tasks.seeding import seed_everything, step_seed
from mapsearch.tasks.training_batches import train_batches
from mapsearch.tasks.user_code import describe, user_code

Attach = Callable[[nn.Module, nn.Module], AttachedLoss]


@dataclass(frozen=True)
class _Trial:
    """What both losses train: the task, its layers, how the study trains, and the trial as the target expresses it."""

    loaded: LoadedTask
    space: RecipeSpace
    train: TrainSpec
    source: ExportSource

    def loss(self) -> RecipeLoss:
        """The recipe's, as it is at the trial's first step."""
        loss = RecipeLoss(self.source.recipe, self.space.student, self.space.teacher, self.source.seed)
        loss.restore(self.source.scales, self.source.norms)
        return loss.to(self.loaded.device)

    @property
    def progress(self) -> tuple[float, ...]:
        """The part of the training that counts as done at each step: none; so much that features fade or end; all."""
        recipe = self.source.recipe
        return 0.0, recipe.features_until if recipe.features_until < 1 else (recipe.anneal or 1.0) / 2, 1.0


def verify(
    path: Path, target: str, source: ExportSource, loaded: LoadedTask, space: RecipeSpace, train: TrainSpec
) -> VerifyReport:
    """Load the written file, train a few steps with it from the start of the reference run, and compare.

    The exported loss gets the projector weights of the trial's first step, which its seed gives. It is compared with
    the recipe as the target can express it, which is the trial's where nothing was left out: both run here, in the
    study's precision and without TF32, so that they must agree closely. At each step another part of the training
    counts as done, so that features fade. The loss that the trial recorded may come from another device and is
    compared loosely. After the steps the projectors must have moved, and the student's weights must fit the bare
    student.

    Args:
        space: the layers of the task's networks.
        train: the training of the study; its batch size decides the batches.

    Raises:
        WrongExport: the file cannot be run, or computes another loss than its recipe; everything that differs at once,
            and what has been edited.
        FrameworkMissing: what runs the file is not installed.
        MapsearchError: the target is unknown, or something else than the file prevents the comparison, such as the
            task's data, a changed teacher, a loss of its own that the framework takes on the labels, or memory.
    """
    chosen = target_named(target)
    loaded = loaded.drawn(source.seed)
    if chosen.missing:
        again = f"mapsearch export {source.study} --to {target} --verify {quote(str(path))}"
        missing = f"{', '.join(chosen.missing)}, which is not installed; {chosen.install}"
        raise FrameworkMissing(f"running it needs {missing}, then `{again}`")
    trial = _Trial(loaded, space, train, chosen.expressible(source))
    with without_tf32():
        with user_code("the first steps of the trial"):
            here, not_of_the_file = _trained(trial, lambda *networks: attached_recipe(trial.loss(), *networks))
        file, problems = _trained_with_file(path, trial, partial(FRAMEWORKS[target], path, space))
    close = tolerance(train.precision, loaded.device)
    edits = edited_lines(chosen.render(trial.source, path))
    report = VerifyReport(source.first_loss, here, file, trial.progress, close, train.precision, edits)
    _require_equal(path, report, [problem for problem in problems if problem not in not_of_the_file])
    return report


def _require_equal(path: Path, report: VerifyReport, problems: list[str]) -> None:
    differences = [*report.differences, *problems]
    if differences:
        raise WrongExport(*(f"{path}: {difference}" for difference in (*differences, *report.edits)))
    if not report.is_explained:
        raise ExportError(f"{path}: the file gives the loss of its recipe here, but {report.warning}")


def _trained_with_file(path: Path, trial: _Trial, attach: Attach) -> tuple[Measured, list[str]]:
    """What `_trained` returns for the file."""
    try:
        return _trained(trial, attach)
    except (FrameworkMissing, TaskError):
        raise
    except ExportError as error:  # names the file already
        raise WrongExport(*error.problems) from None
    except MapsearchError as error:
        raise WrongExport(*(f"{path}: {problem}" for problem in error.problems)) from None
    except Exception as error:  # the file may have been edited into anything
        if isinstance(error, ImportError | OSError) or is_out_of_memory(error):  # not of the file
            raise ExportError(f"{path}: the file cannot be run here: {describe(error)}") from error
        raise WrongExport(f"{path}: the file cannot be loaded and run: {describe(error)}") from error


def _trained(trial: _Trial, attach: Attach) -> tuple[Measured, list[str]]:
    """What is measured in steps of SGD, and what is wrong after them: projectors that did not learn, say."""
    loaded, seed, progress = trial.loaded, trial.source.seed, trial.progress
    student = loaded.new_student(seed)
    own = [p for p in student.parameters() if p.requires_grad]  # before a framework adds its own
    attached = attach(student, loaded.teacher)
    try:
        attached.module.to(loaded.device)
        before, learned = list(trial.loss().parameters()), attached.parameters
        _copy(before, learned)
        optimizer = torch.optim.SGD([*own, *learned], lr=0.1)
        losses, norms = [], []
        batches = train_batches(loaded, trial.train.batch_size, seed, len(progress))
        for step, (batch, done) in enumerate(zip(batches, progress, strict=True)):
            loss = _total(trial, student, attached, step, batch, done)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            norms.append(float(nn.utils.get_total_norm(p.grad for p in own if p.grad is not None)))
            nn.utils.clip_grad_norm_([*own, *learned], 1.0)
            optimizer.step()
            losses.append(float(loss.detach()))
        n_still = sum(torch.equal(old, new) for old, new in zip(before, learned, strict=True))
    finally:
        attached.close()
    problems = [f"the projectors must learn, but steps left {n_still} of {len(learned)} unchanged"] if n_still else []
    try:
        loaded.new_student(seed).load_state_dict(student.state_dict())
    except RuntimeError as error:
        problems.append(f"the trained student must load into the bare one, but does not: {describe(error)}")
    return (norms[0], *losses), problems


def _total(trial: _Trial, student: nn.Module, attached: AttachedLoss, step: int, batch: Any, progress: float) -> Tensor:
    """The total loss of a step's batch, computed as the trial's step did.

    Raises:
        TaskError: the framework takes another loss on the labels than the task.
    """
    loaded, source, train = trial.loaded, trial.source, trial.train
    with torch.no_grad(), forward_precision(train.precision, loaded.device):
        teacher_output = loaded.task.forward(loaded.teacher, batch)
        teacher_outputs = matched_outputs(loaded.task, teacher_output) if source.recipe.uses_outputs else None
    seed_everything(step_seed(source.seed, step))  # so that dropout is the same
    with forward_precision(train.precision, loaded.device):
        output = loaded.task.forward(student, batch)
        task_loss = loaded.task.loss(output, batch)
        outputs = matched_outputs(loaded.task, output)
    total = attached.total(
        ExportedBatch(
            torch.zeros(()) if task_loss is None else task_loss, outputs, teacher_outputs, loaded.task.mask(batch),
            progress, source.n_steps * train.accumulate,
        )
    )  # fmt: skip
    if attached.own_task_loss is not None and source.recipe.uses_task and task_loss is not None:
        _require_equal_loss(attached.own_task_loss(output, batch).item(), task_loss.item(), train.precision)
    return total


def _require_equal_loss(own: float, of_task: float, precision: Precision) -> None:
    """Make sure that the framework's own loss on the labels is the task's."""
    if not math.isclose(own, of_task, rel_tol=LOOSE_TOLERANCE[precision], abs_tol=1e-6):
        raise TaskError(
            f"the framework's own loss on the labels is {own:.6g}, but the task's is {of_task:.6g}: "
            "put the task's loss into the file, or train where it can be given"
        )


def _copy(ours: list[nn.Parameter], theirs: list[nn.Parameter]) -> None:
    """Let the projectors of the file begin as those of the recipe."""
    shapes = [[list(p.shape) for p in parameters] for parameters in (ours, theirs)]
    if shapes[0] != shapes[1]:
        raise MappingError(f"the projectors must have the shapes {shapes[0]}, but the file has {shapes[1]}")
    with torch.no_grad():
        for one, other in zip(ours, theirs, strict=True):
            other.copy_(one)
