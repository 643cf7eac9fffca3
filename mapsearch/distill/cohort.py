"""A cohort: several students trained side by side on the same batches."""

import gc
import math
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from itertools import islice
from time import perf_counter

import torch

from mapsearch.core.events import Progress
from mapsearch.core.runs import Cohort, RunPlan, RunResult
from mapsearch.core.space import RecipeSpace
from mapsearch.core.spec import TrainSpec
from mapsearch.distill.calibration import calibrate
from mapsearch.distill.splitting import CohortSplit, halves, slices
from mapsearch.distill.worker_state import WorkerState
from mapsearch.tasks.evaluation import evaluate
from mapsearch.tasks.loading import LoadedTask
from mapsearch.tasks.memory import free_bytes, is_out_of_memory, kept_for_backward, state_bytes
from mapsearch.training.step import look_back, train_step
from mapsearch.training.student import Member, failed, open_member
from mapsearch.training.teacher_batches import TeacherBatch, teacher_batches

LOG_EVERY = 10
"""Steps between two progress events, and between two looks for values that are not finite."""

SPARE = 1.5
"""Of what a step keeps for its backward pass so much must be free: gradients on their way come on top."""

Events = Iterator[Progress | RunResult]


def distill(
    loaded: LoadedTask,
    space: RecipeSpace,
    train: TrainSpec,
    plans: Sequence[RunPlan],
    worker_state: WorkerState | None = None,
) -> Events:
    """Train one student per plan, side by side, and yield progress and one `RunResult` each.

    All plans share seed and number of steps, and so the initial student, the batches and each
    teacher pass; a member comes out as if it were trained alone. A run whose values stop being
    finite ends alone. A cohort out of memory is halved and started again, a lone run gets its batches
    in parts; if that does not help either it is `oom`.

    Args:
        worker_state: what this process keeps from one call to the next, from `open_worker_state`.
    """
    worker_state = worker_state or WorkerState()
    waiting: deque[Cohort] = deque([tuple(plans)])
    while waiting:
        for event in train_cohort(loaded, space, train, waiting.popleft(), worker_state):
            if isinstance(event, CohortSplit):
                waiting.extendleft(reversed(event.cohorts))
            else:
                yield event


def train_cohort(
    loaded: LoadedTask, space: RecipeSpace, train: TrainSpec, plans: Sequence[RunPlan], worker_state: WorkerState
) -> Iterator[Progress | RunResult | CohortSplit]:
    """`distill` in one go: when memory does not suffice the last event is `CohortSplit`."""
    assert len({(plan.seed, plan.n_steps, plan.n_parts) for plan in plans}) == 1, "a cohort shares seed and steps"
    left = list(plans)
    try:
        for event in _train(loaded, space, train, plans, worker_state):
            if isinstance(event, RunResult):
                left = [plan for plan in left if plan.key != event.key]
            yield event
        if worker_state.cache:
            worker_state.cache.publish()
        return
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        parts = f" in {plans[0].n_parts} parts" if plans[0].n_parts > 1 else ""
        message = f"out of memory with batch size {train.batch_size}{parts}: {' '.join(str(error).split())[:200]}"
    gc.collect()  # a student or optimizer in a reference cycle would keep its memory
    if loaded.device.type == "cuda":
        torch.cuda.empty_cache()
    smaller = halves(left, train.batch_size) if left else ()
    if smaller:
        yield CohortSplit(smaller, message)
    elif left:
        yield RunResult(left[0].key, "oom", error=message, attempt=left[0].attempt)


def _train(
    loaded: LoadedTask, space: RecipeSpace, train: TrainSpec, plans: Sequence[RunPlan], worker_state: WorkerState
) -> Iterator[Progress | RunResult | CohortSplit]:
    members: list[Member] = []
    with ExitStack() as stack:
        for number, plan in enumerate(plans):
            try:
                members.append(open_member(loaded, space, train, plan, worker_state.memory_format))
            except Exception as error:
                yield failed(error, RunResult(plan.key, "crashed", attempt=plan.attempt))
            if len(members) == 1 and (n := _n_fitting(loaded, train, members[0], len(plans) - number, worker_state)):
                message = f"memory is free for {n} students, not for {len(plans) - number}"
                yield CohortSplit(slices(plans[number:], n), message)
                return
        if members:
            yield from calibrate(loaded, train, members, worker_state, stack)
        if members:  # those that could be calibrated
            yield from _steps(loaded, train, members, worker_state)
        if members:  # those that did not end before their time
            yield from _measure(loaded, train, members)


def _steps(loaded: LoadedTask, train: TrainSpec, members: list[Member], worker_state: WorkerState) -> Events:
    n_steps = members[0].plan.n_steps
    with closing(
        teacher_batches(loaded, train, [member.plan for member in members], worker_state.cache, n_steps)
    ) as taught:
        started = perf_counter()
        for step, parts in enumerate(taught):
            for member in tuple(members):
                begun = perf_counter()
                ended = _try_step(loaded, train, member, parts, step, worker_state)
                member.busy += perf_counter() - begun
                if ended is not None:
                    members.remove(member)
                    yield ended
            if (step + 1) % LOG_EVERY == 0 or step + 1 == n_steps:
                yield from _look_back(members, step, started)
                started = perf_counter()
            if not members:
                return


def _try_step(
    loaded: LoadedTask,
    train: TrainSpec,
    member: Member,
    parts: Sequence[TeacherBatch],
    step: int,
    worker_state: WorkerState,
) -> RunResult | None:
    try:
        if step:
            return train_step(loaded, train, member, parts, step)
        with kept_for_backward(member.student, member.loss) as kept:
            ended = train_step(loaded, train, member, parts, step)
        worker_state.step_bytes = max(worker_state.step_bytes, kept.n_bytes)
        return ended
    except Exception as error:
        return failed(error, member.result("crashed"))


def _look_back(members: list[Member], step: int, started: float) -> Events:
    """Progress of all members since the last look, in one transfer from the device, which also waits for its work."""
    values = iter(torch.cat([row for member in members for row in member.recent]).tolist() if members else ())
    seconds, busy = perf_counter() - started, math.fsum(member.busy for member in members)
    for member in tuple(members):
        member.seconds, member.busy = member.seconds + seconds * member.busy / busy, 0.0
        ended = look_back(member, [[*islice(values, len(row))] for row in member.recent], step)
        if ended is not None:
            members.remove(member)
            yield ended
        else:
            yield Progress(member.plan.key, member.plan.attempt, step + 1, member.plan.n_steps, member.curve[-1][1])


def _measure(loaded: LoadedTask, train: TrainSpec, members: Sequence[Member]) -> Iterator[RunResult]:
    plan, students = members[0].plan, [member.student for member in members]
    try:
        measured = evaluate(loaded, students, loaded.split(plan.split), train, plan.n_parts)
    except Exception as error:
        yield from (failed(error, member.result("crashed")) for member in members)
        return
    for member, metrics in zip(members, measured, strict=True):
        yield member.result("complete", metrics=metrics)


def _n_fitting(loaded: LoadedTask, train: TrainSpec, member: Member, n: int, worker_state: WorkerState) -> int | None:
    """How many students like this one fit into free memory, at least one; None when all `n` do or nobody knows."""
    free = free_bytes(loaded.device)
    if free is None:
        return None
    room = free - SPARE * worker_state.step_bytes
    fitting = 1 + max(0, int(room // state_bytes((member.student, member.loss), train.optimizer)))
    return fitting if fitting < n else None
