"""A cohort: several students trained side by side on the same batches, split where memory does not suffice."""

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack

from mapsearch.core.events import Message, Progress
from mapsearch.core.runs import Cohort, RunPlan, RunResult
from mapsearch.core.space import RecipeSpace
from mapsearch.core.train_spec import TrainSpec
from mapsearch.distill.side_by_side import measure, train_side_by_side
from mapsearch.distill.splitting import CohortSplit, halves, slices
from mapsearch.distill.worker_state import WorkerState
from mapsearch.tasks.evaluation import Evaluator
from mapsearch.tasks.loaded_task import LoadedTask
from mapsearch.tasks.memory import free_bytes, free_unused_memory, is_out_of_memory
from mapsearch.training.calibration import calibrate
from mapsearch.training.memory import state_bytes
from mapsearch.training.student import StudentTraining, failed, open_student


def distill(
    loaded: LoadedTask,
    space: RecipeSpace,
    train: TrainSpec,
    plans: Sequence[RunPlan],
    worker_state: WorkerState | None = None,
) -> Iterator[Message | Progress | RunResult]:
    """Train one student per plan, side by side, and yield progress and one `RunResult` each.

    All plans share seed and number of steps, and so the initial student, the batches and each
    teacher pass; a student comes out as if it were trained alone. A run whose values stop being
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
) -> Iterator[Message | Progress | RunResult | CohortSplit]:
    """`distill` in one go: when memory does not suffice, without cached features either, `CohortSplit` comes last."""
    assert len({(plan.seed, plan.n_steps, plan.n_parts) for plan in plans}) == 1, "a cohort shares seed and steps"
    left = list(plans)
    try:
        yield from worker_state.take_messages()
        for event in _train(loaded, space, train, plans, worker_state):
            if isinstance(event, RunResult):
                left = [plan for plan in left if plan.key != event.key]
            yield event
        if worker_state.cache:
            worker_state.cache.features.publish()
        yield from worker_state.take_messages()
        return
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        parts = f" in {plans[0].n_parts} parts" if plans[0].n_parts > 1 else ""
        size = f"batch size {train.batch_size}{parts} (a smaller `train.batch_size` takes less)"
        message = f"out of memory with {size}: {' '.join(str(error).split())[:200]}"
    has_freed = bool(left and worker_state.cache and worker_state.cache.features.give_up())
    free_unused_memory()
    if has_freed:
        yield from train_cohort(loaded, space, train, left, worker_state)
        return
    smaller = halves(left, train.batch_size) if left else ()
    if smaller:
        yield CohortSplit(smaller, message)
    elif left:
        yield RunResult(left[0].key, "oom", error=message, attempt=left[0].attempt)


def _train(
    loaded: LoadedTask, space: RecipeSpace, train: TrainSpec, plans: Sequence[RunPlan], worker_state: WorkerState
) -> Iterator[Progress | RunResult | CohortSplit]:
    loaded = loaded.drawn(plans[0].seed)
    cohort: list[StudentTraining] = []  # whoever ends before its time leaves it
    with ExitStack() as stack:
        for number, plan in enumerate(plans):
            try:
                training = open_student(loaded, space, train, plan, worker_state.memory_format)
                training.first_gradients = worker_state.first_gradients
                cohort.append(training)
            except Exception as error:
                yield failed(error, RunResult(plan.key, "crashed", attempt=plan.attempt))
            if len(cohort) == 1 and (n := _n_fitting(loaded, train, cohort[0], len(plans) - number, worker_state)):
                message = f"memory is free for {n} students, not for {len(plans) - number}"
                yield CohortSplit(slices(plans[number:], n), message)
                return
        if cohort:
            yield from calibrate(loaded, train, cohort, worker_state.cache, stack)
        if cohort:
            yield from train_side_by_side(loaded, train, cohort, worker_state)
        if cohort:
            yield from measure(loaded, worker_state.evaluator or Evaluator(loaded, train), cohort)


def _n_fitting(
    loaded: LoadedTask, train: TrainSpec, training: StudentTraining, n: int, worker_state: WorkerState
) -> int | None:
    """How many students like this one fit into free memory, at least one; None when all `n` do or nobody knows."""
    free = free_bytes(loaded.device)
    if free is None:
        return None
    each = state_bytes(training.networks, train.optimizer)
    fitting = 1 + max(0, (free - worker_state.step_bytes) // each)
    return fitting if fitting < n else None
