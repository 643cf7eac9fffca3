"""What a step costs: it is timed, and its memory is measured."""

from collections.abc import Callable
from contextlib import ExitStack
from statistics import median
from time import perf_counter
from typing import Any

import torch

from mapsearch.check.finding_log import FindingLog
from mapsearch.check.steps import open_steps
from mapsearch.core.recipe import Recipe
from mapsearch.core.space import RecipeSpace
from mapsearch.core.spec import StudySpec
from mapsearch.tasks.loaded_task import LoadedTask
from mapsearch.tasks.memory import free_bytes
from mapsearch.training.caching import why_not_cached
from mapsearch.training.memory import state_bytes, step_memory
from mapsearch.training.memory_format import choose_memory_format
from mapsearch.training.teacher_batches import OUTPUTS, open_teacher

N_TIMED = 3
LIVE_TEACHER = "the teacher runs once per batch and cohort"


def forecast(
    log: FindingLog, loaded: LoadedTask, spec: StudySpec, space: RecipeSpace, recipe: Recipe, batch: Any,
    overwritten: tuple[str, ...],
) -> None:  # fmt: skip
    """Time a teacher pass and a student's step, and forecast their memory."""
    memory_format = choose_memory_format(loaded)
    with open_steps(loaded, spec, space, recipe, batch, overwritten, memory_format) as steps:
        steps.train()  # the first pays for memory and kernels
        log.seconds["teacher_pass"] = teacher = _median_seconds(steps.teach, loaded.device)
        log.seconds["student_step"] = student = _median_seconds(steps.train, loaded.device)
        networks = steps.training.networks
        with step_memory(loaded.device, *networks) as step:
            steps.train()
        each = state_bytes(networks, spec.train.optimizer)
    _write_memory(log, each, step.n_bytes, spec.execution.cohort, free_bytes(loaded.device))
    is_cached = _write_cache(log, loaded, spec, space, batch)
    log.seconds["step"] = spec.train.accumulate * (student + (0.0 if is_cached else teacher / spec.execution.cohort))


def _write_memory(log: FindingLog, each: int, step: int, cohort: int, free: int | None) -> None:
    """What a cohort takes: the state of every student, and what a step of one of them takes on top."""
    needed = each * cohort + step
    parts = f"{_size(each)} per student, {_size(step)} during a step"
    message = f"about {_size(needed)} for a cohort of {cohort}: {parts}"
    if free is None or needed <= free:
        log.add("ok", "memory.fits", message)
    else:
        log.add("warning", "memory.split", f"{message}; {_size(free)} are free, so cohorts will be split")


def _write_cache(log: FindingLog, loaded: LoadedTask, spec: StudySpec, space: RecipeSpace, batch: Any) -> bool:
    """Whether the teacher will run once per training sample instead of once per step."""
    limit = spec.execution.cache_bytes
    needed = cache_bytes(loaded, spec, space, batch)
    features = f"{_size(needed)} of features for {len(space.teacher)} layers and the outputs"
    if not limit:
        log.add("ok", "cache.off", f"off (`execution.cache_bytes: 0`): {LIVE_TEACHER}")
        return False
    if why := why_not_cached(loaded, spec.train):
        log.add("ok", "cache.varying_samples", f"{why}: {LIVE_TEACHER}")
        return False
    if needed > limit:
        way_out = f"do not fit into {_size(limit)}; raise `execution.cache_bytes` if every worker has that much"
        log.add("ok", "cache.too_small", f"{features} {way_out}: {LIVE_TEACHER}")
        return False
    log.add("ok", "cache.fits", f"{features} fit into {_size(limit)}: the teacher sees each training sample once")
    return True


def cache_bytes(loaded: LoadedTask, spec: StudySpec, space: RecipeSpace, batch: Any) -> int:
    """Bytes of the teacher's outputs and of all its layers' features for all training samples.

    They are those of a real pass: under bfloat16 some layers give bfloat16 and others, such as norms, float32.
    """
    with ExitStack() as stack:
        teacher = open_teacher(loaded, spec.train, (OUTPUTS, *(layer.path for layer in space.teacher)), stack)
        return len(loaded.train) * sum(output[0].nbytes for output in teacher(batch).values())


def _median_seconds(act: Callable[[], None], device: torch.device) -> float:
    seconds = []
    for _ in range(N_TIMED):
        started = perf_counter()
        act()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        seconds.append(perf_counter() - started)
    return median(seconds)


def _size(n_bytes: float) -> str:
    for unit in ("B", "KiB", "MiB"):
        if n_bytes < 1024:
            return f"{n_bytes:.3g} {unit}"
        n_bytes /= 1024
    return f"{n_bytes:.3g} GiB"
