"""What the study will cost: one step is timed, the rest is arithmetic."""

import os
from collections.abc import Callable
from statistics import median
from time import perf_counter
from typing import Any

import torch

from mapsearch.check.notebook import Notebook
from mapsearch.check.steps import Steps
from mapsearch.core.forecast import forecast_text
from mapsearch.core.recipe import Recipe
from mapsearch.core.space import RecipeSpace
from mapsearch.core.spec import StudySpec
from mapsearch.tasks.loading import Bench

REPEATS = 3
COPIES = {"adamw": 4, "sgd": 3}
"""Numbers kept per trained parameter: weight, gradient and the optimizer's moments."""


def forecast(
    book: Notebook, bench: Bench, spec: StudySpec, space: RecipeSpace, recipe: Recipe, batch: Any,
    overwritten: tuple[str, ...],
) -> None:  # fmt: skip
    """Time a teacher pass and a student's step, and write down what the whole study will take."""
    with Steps(bench, spec, space, recipe, batch, overwritten) as steps:
        steps.teach()
        steps.train()  # the first pays for memory and kernels
        book.seconds["teacher_pass"] = teacher = _median_seconds(steps.teach, bench.device)
        book.seconds["student_step"] = student = _median_seconds(steps.train, bench.device)
        numbers = sum(p.numel() * p.element_size() for p in [*steps.student.parameters(), *steps.loss.parameters()])
    each, cohort = numbers * COPIES[spec.train.optimizer], spec.train.cohort
    said = f"about {_size(each)} per student for weights, gradients and optimizer, {_size(each * cohort)} for a cohort"
    book.write("ok", "memory", f"{said} of {cohort}; activations come on top")
    step_seconds = student + teacher / cohort
    evaluation = book.seconds.get("evaluation", 0.0)
    book.measured["forecast"] = forecast_text(spec, step_seconds, evaluation, _n_workers(spec, bench.device))


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
    if spec.search.workers != "auto":
        return spec.search.workers
    if device.type == "cuda":
        return torch.cuda.device_count() if spec.train.device == "auto" else 1
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores // spec.train.threads)


def _size(n_bytes: float) -> str:
    for unit in ("B", "KiB", "MiB"):
        if n_bytes < 1024:
            return f"{n_bytes:.3g} {unit}"
        n_bytes /= 1024
    return f"{n_bytes:.3g} GiB"
