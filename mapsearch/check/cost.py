"""What the study will cost: one step is timed, the rest is arithmetic."""

import os
from collections.abc import Callable
from statistics import median
from time import perf_counter
from typing import Any

import torch

from mapsearch.check.finding_log import FindingLog
from mapsearch.check.steps import Steps
from mapsearch.core.forecast import cache_bytes, forecast_text
from mapsearch.core.recipe import Recipe
from mapsearch.core.space import RecipeSpace
from mapsearch.core.spec import StudySpec
from mapsearch.tasks.contents import why_not_fixed
from mapsearch.tasks.loading import LoadedTask
from mapsearch.tasks.memory import free_bytes, kept_for_backward, state_bytes
from mapsearch.tasks.outputs import matched_outputs
from mapsearch.tasks.precision import forward_precision

REPEATS = 3


def forecast(
    log: FindingLog, loaded: LoadedTask, spec: StudySpec, space: RecipeSpace, recipe: Recipe, batch: Any,
    overwritten: tuple[str, ...],
) -> None:  # fmt: skip
    """Time a teacher pass and a student's step, and write down what the whole study will take."""
    with Steps(loaded, spec, space, recipe, batch, overwritten) as steps:
        steps.teach()
        steps.train()  # the first pays for memory and kernels
        log.seconds["teacher_pass"] = teacher = _median_seconds(steps.teach, loaded.device)
        log.seconds["student_step"] = student = _median_seconds(steps.train, loaded.device)
        with kept_for_backward(steps.student, steps.loss) as kept:
            steps.train()
        each = state_bytes((steps.student, steps.loss), spec.train.optimizer)
    _write_memory(log, each, kept.n_bytes, spec.execution.cohort, free_bytes(loaded.device))
    cached = _write_cache(log, loaded, spec, space, batch)
    step_seconds = student + (0.0 if cached else teacher / spec.execution.cohort)
    evaluation = log.seconds.get("evaluation", 0.0)
    log.measured["forecast"] = forecast_text(spec, step_seconds, evaluation, _n_workers(spec, loaded.device))


def _write_memory(log: FindingLog, each: int, step: int, cohort: int, free: int | None) -> None:
    """What a cohort takes: the state of every student, and what one of them keeps during its step."""
    needed = each * cohort + step
    said = f"about {_size(needed)} for a cohort of {cohort}: {_size(each)} per student, {_size(step)} during a step"
    if free is None or needed <= free:
        log.add("ok", "memory.fits", said)
    else:
        log.add("warning", "memory.split", f"{said}; {_size(free)} are free, so that cohorts will be split")


def _write_cache(log: FindingLog, loaded: LoadedTask, spec: StudySpec, space: RecipeSpace, batch: Any) -> bool:
    """Whether the teacher will run once per training sample instead of once per step."""
    limit, n_layers = spec.execution.cache_bytes, len(space.teacher)
    with torch.no_grad(), forward_precision(spec.train.precision, loaded.device):
        logits = matched_outputs(loaded.task, loaded.task.forward(loaded.teacher, batch))
    needed = cache_bytes(space.teacher, tuple(logits.shape[1:]), len(loaded.train), logits.element_size())
    said = f"{_size(needed)} of features for {n_layers} layers and the logits"
    if not limit:
        log.add("ok", "cache.off", "off (`execution.cache_bytes: 0`): the teacher runs once per batch and cohort")
        return False
    if why := why_not_fixed(loaded):
        log.add("ok", "cache.varying_samples", f"{why}: the teacher runs once per batch and cohort")
        return False
    if needed > limit:
        way = f"do not fit into {_size(limit)}; raise `execution.cache_bytes` if every worker has that much"
        log.add("ok", "cache.too_small", f"{said} {way}: the teacher runs once per batch and cohort")
        return False
    log.add("ok", "cache.fits", f"{said} fit into {_size(limit)}: the teacher sees each training sample once")
    return True


def _median_seconds(act: Callable[[], None], device: torch.device) -> float:
    seconds = []
    for _ in range(REPEATS):
        started = perf_counter()
        act()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        seconds.append(perf_counter() - started)
    return median(seconds)


def _n_workers(spec: StudySpec, device: torch.device) -> int:
    if spec.execution.workers != "auto":
        return spec.execution.workers
    if device.type == "cuda":
        return torch.cuda.device_count() if spec.execution.devices == "auto" else len(spec.execution.devices)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores // spec.execution.threads)


def _size(n_bytes: float) -> str:
    for unit in ("B", "KiB", "MiB"):
        if n_bytes < 1024:
            return f"{n_bytes:.3g} {unit}"
        n_bytes /= 1024
    return f"{n_bytes:.3g} GiB"
