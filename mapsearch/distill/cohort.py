"""A cohort: several students trained side by side on the same batches."""

import gc
import math
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from itertools import islice
from time import perf_counter

import torch

from mapsearch.core.records import Cohort, Progress, RunPlan, RunResult
from mapsearch.core.space import RecipeSpace
from mapsearch.core.spec import TrainSpec
from mapsearch.distill.calibrate import calibrate
from mapsearch.distill.member import Member, failed, open_member
from mapsearch.distill.station import Station
from mapsearch.distill.step import look_back, train_step
from mapsearch.distill.teacher import Lesson, lessons
from mapsearch.distill.too_large import TooLarge, halves, slices
from mapsearch.tasks.batches import evaluate
from mapsearch.tasks.loading import Bench
from mapsearch.tasks.memory import free_bytes, is_out_of_memory, kept_for_backward, state_bytes

LOG_EVERY = 10
"""Steps between two progress events, and between two looks for values that are not finite."""

SPARE = 1.5
"""Of what a step keeps for its backward pass so much must be free: gradients on their way come on top."""

Events = Iterator[Progress | RunResult]


def distill(
    bench: Bench, space: RecipeSpace, train: TrainSpec, plans: Sequence[RunPlan], station: Station | None = None
) -> Events:
    """Train one student per plan, side by side, and yield progress and one `RunResult` each.

    All plans share seed and number of steps, and so the initial student, the batches and each
    teacher pass; a member comes out as if it were trained alone. A run whose values stop being
    finite ends alone. A cohort out of memory is halved and started again, a lone run gets its batches
    in parts; if that does not help either it is `oom`.

    Args:
        station: what this process keeps from one call to the next, from `open_station`.
    """
    station = station or Station()
    waiting: deque[Cohort] = deque([tuple(plans)])
    while waiting:
        for event in train_cohort(bench, space, train, waiting.popleft(), station):
            if isinstance(event, TooLarge):
                waiting.extendleft(reversed(event.cohorts))
            else:
                yield event


def train_cohort(
    bench: Bench, space: RecipeSpace, train: TrainSpec, plans: Sequence[RunPlan], station: Station
) -> Iterator[Progress | RunResult | TooLarge]:
    """`distill` in one go: when memory does not suffice the last event is `TooLarge`."""
    assert len({(plan.seed, plan.n_steps, plan.n_parts) for plan in plans}) == 1, "a cohort shares seed and steps"
    left = list(plans)
    try:
        for event in _train(bench, space, train, plans, station):
            if isinstance(event, RunResult):
                left = [plan for plan in left if plan.key != event.key]
            yield event
        if station.cache:
            station.cache.publish()
        return
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        parts = f" in {plans[0].n_parts} parts" if plans[0].n_parts > 1 else ""
        message = f"out of memory with batch size {train.batch_size}{parts}: {' '.join(str(error).split())[:200]}"
    gc.collect()  # a student or optimizer in a reference cycle would keep its memory
    if bench.device.type == "cuda":
        torch.cuda.empty_cache()
    smaller = halves(left, train.batch_size) if left else ()
    if smaller:
        yield TooLarge(smaller, message)
    elif left:
        yield RunResult(left[0].key, "oom", error=message)


def _train(
    bench: Bench, space: RecipeSpace, train: TrainSpec, plans: Sequence[RunPlan], station: Station
) -> Iterator[Progress | RunResult | TooLarge]:
    members: list[Member] = []
    with ExitStack() as stack:
        for number, plan in enumerate(plans):
            try:
                members.append(open_member(bench, space, train, plan, station.memory_format))
            except Exception as error:
                yield failed(error, RunResult(plan.key, "crashed"))
            if len(members) == 1 and (n := _n_fitting(bench, train, members[0], len(plans) - number, station)):
                message = f"memory is free for {n} students, not for {len(plans) - number}"
                yield TooLarge(slices(plans[number:], n), message)
                return
        if members:
            yield from calibrate(bench, train, members, station, stack)
        if members:  # those that could be calibrated
            yield from _steps(bench, train, members, station)
        if members:  # those that did not end before their time
            yield from _measure(bench, members, max(1, train.batch_size // plans[0].n_parts))


def _steps(bench: Bench, train: TrainSpec, members: list[Member], station: Station) -> Events:
    n_steps = members[0].plan.n_steps
    with closing(lessons(bench, train, [member.plan for member in members], station.cache, n_steps)) as taught:
        started = perf_counter()
        for step, parts in enumerate(taught):
            for member in tuple(members):
                begun = perf_counter()
                ended = _try_step(bench, train, member, parts, step, station)
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
    bench: Bench, train: TrainSpec, member: Member, parts: Sequence[Lesson], step: int, station: Station
) -> RunResult | None:
    try:
        if step:
            return train_step(bench, train, member, parts, step)
        with kept_for_backward(member.student, member.loss) as kept:
            ended = train_step(bench, train, member, parts, step)
        station.step_bytes = max(station.step_bytes, kept.n_bytes)
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
            yield Progress(member.plan.key, step + 1, member.plan.n_steps, member.curve[-1][1])


def _measure(bench: Bench, members: Sequence[Member], size: int) -> Iterator[RunResult]:
    try:
        found = evaluate(bench, [member.student for member in members], bench.split(members[0].plan.split), size)
    except Exception as error:
        yield from (failed(error, member.result("crashed")) for member in members)
        return
    for member, metrics in zip(members, found, strict=True):
        bad = [name for name, value in metrics.items() if not math.isfinite(value)]
        if bad:
            yield member.result("invalid", error=f"metric `{bad[0]}` is {metrics[bad[0]]}")
        else:
            yield member.result("complete", metrics=metrics)


def _n_fitting(bench: Bench, train: TrainSpec, member: Member, n: int, station: Station) -> int | None:
    """How many students like this one fit into free memory, at least one; None when all `n` do or nobody knows."""
    free = free_bytes(bench.device)
    if free is None:
        return None
    room = free - SPARE * station.step_bytes
    fitting = 1 + max(0, int(room // state_bytes((member.student, member.loss), train.optimizer)))
    return fitting if fitting < n else None
