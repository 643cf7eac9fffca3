"""The training of one student from its first or last known step to its end."""

import math
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from time import perf_counter

from torch import nn

from mapsearch.core.errors import MapsearchError, TrainingFailed
from mapsearch.core.events import Message, Progress
from mapsearch.core.metrics import metric_problem, storable
from mapsearch.core.runs import RunPlan, RunResult
from mapsearch.core.space import RecipeSpace
from mapsearch.core.train_spec import TrainSpec
from mapsearch.core.trained import TrainRequest, Validation
from mapsearch.core.training_settings import TrainingSettings
from mapsearch.losses.recipe_loss import RecipeLoss
from mapsearch.tasks.evaluation import Evaluator
from mapsearch.tasks.loaded_task import LoadedTask
from mapsearch.tasks.memory import is_out_of_memory
from mapsearch.tasks.training_batches import Place
from mapsearch.tasks.user_code import describe
from mapsearch.trainer.checkpoint_file import CheckpointFile
from mapsearch.trainer.course import Course
from mapsearch.training.calibration import calibrate
from mapsearch.training.checkpoint import restore_training, training_state
from mapsearch.training.memory_format import choose_memory_format
from mapsearch.training.processes import ALONE, Processes
from mapsearch.training.step import record_values, train_step
from mapsearch.training.student import StudentTraining, open_student, shard_student
from mapsearch.training.teacher_batches import teacher_batches

PROGRESS_STEPS = 10
"""Steps between two progress events, and between two looks for values that are not finite: those of `distill`."""

FIRST_LOSS_TOLERANCE = 1e-2
"""Relative difference of the first loss that another device and precision may make."""


@dataclass(frozen=True)
class TrainedStudent:
    """A trained student with what was measured on the way; `loss` holds the projectors that taught it."""

    student: nn.Module
    loss: RecipeLoss
    kept_step: int
    first_loss: float | None
    curve: tuple[tuple[int, float], ...]
    validations: tuple[Validation, ...]
    seconds: float


def train_student(
    loaded: LoadedTask,
    space: RecipeSpace,
    settings: TrainingSettings,
    plan: RunPlan,
    request: TrainRequest,
    *,
    first_loss: float | None = None,
    file: CheckpointFile | None = None,
    processes: Processes = ALONE,
    is_stopped: Callable[[], bool] = lambda: False,
) -> Iterator[Message | Progress | Validation | TrainedStudent]:
    """Train the student of a plan and yield how it goes, the student last.

    With the plan of a study's run the student is that run's, to rounding. The teacher runs at every step: what a
    cache gives for a sample was computed in another batch, and a training that is resumed would differ in its last
    bits.

    Args:
        first_loss: that of the plan's run in its study, where it is known; another one now is told.
        file: where checkpoints go, and where an earlier one may lie; None writes none.
        processes: those that train it together, each on its part of every batch.
        is_stopped: asked after every step; a training that is stopped is saved first.

    Raises:
        TrainingFailed: values are not finite, the loss teaches nothing, memory does not suffice, or a checkpoint
            cannot be read or written.
        KeyboardInterrupt: it was stopped.
    """
    loaded, train = loaded.drawn(plan.seed), settings.train
    _check_processes(train, plan, processes)
    with ExitStack() as stack:
        stack.enter_context(_errors_in_words())
        processes.shard(loaded.teacher)
        training = open_student(loaded, space, train, plan, choose_memory_format(loaded))
        training.processes = processes
        course = yield from _begin(loaded, train, training, file, stack)
        look = _Look(Evaluator(loaded, train), loaded, settings, request, training, course)
        batches = teacher_batches(
            loaded, train, [plan], None, plan.n_steps, Place(course.step, processes.rank, processes.n)
        )
        stack.enter_context(closing(batches))
        for step, parts in enumerate(batches, course.step):
            _raise_if_ended(train_step(loaded, train, training, parts, step))
            course.step = step + 1
            yield from look.now()
            yield from _changed(first_loss, training) if step == 0 else ()
            stopped = processes.is_any(is_stopped())
            if file and (look.is_due(request.checkpoint_every) or stopped):
                state = {"course": course.to_state(), "training": training_state(training)}
                if processes.rank == 0:
                    file.write(state)
            if stopped and not look.is_last:
                raise KeyboardInterrupt
    student = _kept(loaded, training, course)
    yield TrainedStudent(
        student.eval(), training.loss, course.step if course.best is None else course.best_step, training.first_loss,
        tuple(training.curve), tuple(course.validations), training.seconds,
    )  # fmt: skip


def _begin(
    loaded: LoadedTask, train: TrainSpec, training: StudentTraining, file: CheckpointFile | None, stack: ExitStack
) -> Generator[Message, None, Course]:
    """Calibrate the loss and capture the student's features, or go on from the checkpoint."""
    state = file.read() if file else None
    if state is None:
        for ended in calibrate(loaded, train, [training], None, stack):
            _raise_if_ended(ended)
        if training.processes.shards:
            shard_student(loaded, train, training)
        return Course()
    if training.processes.shards:
        shard_student(loaded, train, training)
    restore_training(training, state["training"])
    training.hook(stack, training.overwritten)
    course = Course.from_state(state["course"])
    yield Message("train", f"goes on after step {course.step} of {training.plan.n_steps}")
    return course


def _check_processes(train: TrainSpec, plan: RunPlan, processes: Processes) -> None:
    """Raise TrainingFailed where these processes cannot train a student together as one does alone."""
    if train.batch_size % processes.n:
        raise TrainingFailed(
            f"`train.batch_size: {train.batch_size}` must be a multiple of the {processes.n} processes"
        )
    needs_whole_weights = {"`balance: gate`": plan.recipe.balance == "gate"}
    if train.ema is not None:
        needs_whole_weights[f"`train.ema: {train.ema:g}`"] = True
    for key, is_set in needs_whole_weights.items():
        if processes.shards and is_set:
            raise TrainingFailed(f"{key} cannot be trained with `shard`; leave it out")


def _kept(loaded: LoadedTask, training: StudentTraining, course: Course) -> nn.Module:
    """The student with the weights that are kept, whole."""
    student = training.measured
    if training.processes.shards:
        weights, student = training.processes.whole(student.state_dict()), loaded.new_student(training.plan.seed)
        student.load_state_dict(weights)
    if course.best is not None:
        student.load_state_dict(course.best)
    return student


@dataclass
class _Look:
    """What is looked at after a step, where it is due."""

    evaluator: Evaluator
    loaded: LoadedTask
    settings: TrainingSettings
    request: TrainRequest
    training: StudentTraining
    course: Course
    _since: float = field(default_factory=perf_counter)

    @property
    def is_last(self) -> bool:
        """Whether no step is left."""
        return self.course.step == self.training.plan.n_steps

    def is_due(self, every: int) -> bool:
        """Whether so many steps have passed since the last time, or none is left."""
        return self.course.step % every == 0 or self.is_last

    def now(self) -> Iterator[Progress | Validation]:
        """The loss, and how the student does on the validation data."""
        training, step = self.training, self.course.step
        now = perf_counter()
        training.seconds, self._since = training.seconds + now - self._since, now
        if self.is_due(PROGRESS_STEPS) or self.is_due(self.request.validate_every):
            _raise_if_ended(record_values(training, [row.tolist() for row in training.recent], step - 1))
            plan, terms = training.plan, dict(zip(training.terms, training.term_curve[-1][1], strict=True))
            yield Progress(plan.key, plan.attempt, step, plan.n_steps, training.curve[-1][1], terms)
        if self.is_due(self.request.validate_every):
            yield self._validation()

    def _validation(self) -> Validation:
        (metrics,) = self.evaluator.measure([self.training.measured], self.loaded.valid)
        name, direction = self.settings.metric, self.settings.direction
        if problem := metric_problem(metrics, name):
            raise TrainingFailed(f"after step {self.course.step}: {problem}")
        is_kept = self.request.keep == "best"
        weights = self.training.processes.whole(self.training.measured.state_dict()) if is_kept else None
        return self.course.validated(Validation(self.course.step, storable(metrics)), name, direction, weights)


def _changed(before: float | None, training: StudentTraining) -> Iterator[Message]:
    now = training.first_loss
    if before is not None and now is not None and not math.isclose(before, now, rel_tol=FIRST_LOSS_TOLERANCE):
        yield Message(
            "train",
            f"warning: the first loss is {now:.6g}, but was {before:.6g} in the study with this seed: the task's data "
            "or networks are not what they were",
        )


def _raise_if_ended(result: RunResult | None) -> None:
    if result is not None:
        raise TrainingFailed(f"the training ended, {result.state}: {result.error}")


@contextmanager
def _errors_in_words() -> Iterator[None]:
    try:
        yield
    except MapsearchError:
        raise
    except Exception as error:
        if is_out_of_memory(error):
            way_out = "halve `train.batch_size` and double `train.accumulate` in the recipe file"
            raise TrainingFailed(f"out of memory: {describe(error)}; {way_out}") from error
        raise TrainingFailed(f"the training failed: {describe(error)}") from error
