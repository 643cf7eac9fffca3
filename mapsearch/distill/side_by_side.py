"""The students of a cohort trained step by step on the same batches, and measured."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from itertools import islice

import torch

from mapsearch.core.events import Progress
from mapsearch.core.runs import RunResult
from mapsearch.core.train_spec import TrainSpec
from mapsearch.distill.replayed_steps import WATCHED_STEP, ReplayedSteps
from mapsearch.distill.steps import OrdinarySteps, Steps
from mapsearch.distill.worker_state import WorkerState
from mapsearch.tasks.evaluation import Evaluator
from mapsearch.tasks.loaded_task import LoadedTask
from mapsearch.training.memory import step_memory
from mapsearch.training.step import record_values
from mapsearch.training.stopwatch import device_clock
from mapsearch.training.student import StudentTraining, failed
from mapsearch.training.teacher_batches import TeacherBatch, teacher_batches

PROGRESS_STEPS = 10
"""Steps between two progress events, and between two looks for values that are not finite."""


def train_side_by_side(
    loaded: LoadedTask, train: TrainSpec, cohort: list[StudentTraining], worker_state: WorkerState
) -> Iterator[Progress | RunResult]:
    """All steps of the cohort; whoever ends before the last one leaves it with a result."""
    plans = [training.plan for training in cohort]
    n_steps = plans[0].n_steps
    with ExitStack() as stack:
        batches = stack.enter_context(closing(teacher_batches(loaded, train, plans, worker_state.cache, n_steps)))
        steps: Steps = OrdinarySteps(loaded, train)
        clock = device_clock(loaded.device)
        started = clock()
        for step, parts in enumerate(batches):
            if step == WATCHED_STEP and worker_state.open_recorder is not None:
                recorder = stack.enter_context(closing(worker_state.open_recorder(worker_state.step_bytes)))
                steps = ReplayedSteps(loaded, train, plans, worker_state, recorder)
            with steps.on(parts, step):
                ended = [*_taken(loaded, cohort, steps, parts, step, worker_state)]
            yield from ended
            if (step + 1) % PROGRESS_STEPS == 0 or step + 1 == n_steps:
                yield from _progress(cohort, step, clock, started)
                started = clock()
            if not cohort:
                return


def measure(loaded: LoadedTask, evaluator: Evaluator, cohort: Sequence[StudentTraining]) -> Iterator[RunResult]:
    """The results of trained students, with their metrics."""
    plan, students = cohort[0].plan, [training.measured for training in cohort]
    try:
        measured = evaluator.measure(students, loaded.split(plan.split))
    except Exception as error:
        yield from (failed(error, training.result("crashed")) for training in cohort)
        return
    for training, metrics in zip(cohort, measured, strict=True):
        yield training.result("complete", metrics=metrics)


def _taken(
    loaded: LoadedTask,
    cohort: list[StudentTraining],
    steps: Steps,
    parts: Sequence[TeacherBatch],
    step: int,
    worker_state: WorkerState,
) -> Iterator[RunResult]:
    """The step of every student; whoever ends in it leaves the cohort with a result."""
    for training in tuple(cohort):
        with steps.lane(training):
            training.stopwatch.start()
            ended = _try_step(loaded, training, steps, parts, step, worker_state)
            training.stopwatch.stop()
        if ended is not None:
            cohort.remove(training)
            yield ended


def _try_step(
    loaded: LoadedTask,
    training: StudentTraining,
    steps: Steps,
    parts: Sequence[TeacherBatch],
    step: int,
    worker_state: WorkerState,
) -> RunResult | None:
    try:
        if step:
            return steps.take(training, parts, step)
        with step_memory(loaded.device, training.student, training.loss) as taken:
            ended = steps.take(training, parts, step)
        worker_state.step_bytes = max(worker_state.step_bytes, taken.n_bytes)
        return ended
    except Exception as error:
        return failed(error, training.result("crashed"))


def _progress(
    cohort: list[StudentTraining], step: int, clock: Callable[[], float], started: float
) -> Iterator[Progress | RunResult]:
    """Progress since the last look, in one transfer from the device, which also waits for its work.

    The time since then, with that of the shared teacher passes, is split by the time of each student's own steps.
    """
    values = iter(torch.cat([row for training in cohort for row in training.recent]).tolist() if cohort else ())
    seconds = clock() - started
    own = [training.stopwatch.take() for training in cohort]
    total = math.fsum(own) or 1.0  # a coarse clock may have seen none
    for training, own_seconds in zip(tuple(cohort), own, strict=True):
        training.seconds += seconds * own_seconds / total
        ended = record_values(training, [[*islice(values, len(row))] for row in training.recent], step)
        if ended is not None:
            cohort.remove(training)
            yield ended
        else:
            plan = training.plan
            yield Progress(plan.key, plan.attempt, step + 1, plan.n_steps, training.curve[-1][1])
