"""Checks of what the task measures: both networks, against each other, against guessing, at two batch sizes."""

from functools import partial
from math import isclose, isfinite, isnan, nan
from statistics import mean, stdev
from time import perf_counter
from typing import Any

import torch
from torch import nn
from torch.utils.data import Subset

from mapsearch.check.baseline import constant_rows
from mapsearch.check.finding_log import FindingLog
from mapsearch.core.findings import Level
from mapsearch.core.metrics import metric_problem
from mapsearch.core.spec import StudySpec
from mapsearch.tasks.batches import ordered_batches
from mapsearch.tasks.evaluation import Evaluator, Measurement, evaluate, evaluation_batch_size
from mapsearch.tasks.loaded_task import LoadedTask
from mapsearch.tasks.metrics import TEACHER_OUTPUT, sees_teacher
from mapsearch.tasks.nested import batch_size, in_float32, with_rows
from mapsearch.tasks.precision import forward_in, uses_bfloat16
from mapsearch.tasks.seen import Seen
from mapsearch.tasks.teacher_answers import comparable, decided
from mapsearch.tasks.user_code import describe

N_GUESSES = 8
"""Times that the teacher's outputs are held against the labels of other samples."""

MIN_SPREADS = 3.0
"""A teacher is better than guessing when it lies this many standard deviations of the guesses above their mean."""

N_COMPARED_SAMPLES = 512
"""Validation samples on which the teacher is compared with guessing, and measured at two batch sizes."""

BATCHING_TOLERANCE, BATCHING_TOLERANCE_BFLOAT16 = 1e-3, 1e-2
"""Relative difference of a metric that rounding may make between two batch sizes."""


def check_metrics(log: FindingLog, loaded: LoadedTask, spec: StudySpec, student: nn.Module | None) -> None:
    """Measure both networks on the validation data and compare them."""
    name, evaluator = spec.metric, Evaluator(loaded, spec.train)
    with log.guard("teacher", "measuring it on the validation data"):
        (metrics,) = evaluator.measure([loaded.teacher], loaded.valid)
        log.measured["teacher_metrics"] = metrics
        log.add("ok", "teacher.metrics", f"{_formatted(metrics)} on {len(loaded.valid)} validation samples")
        if problem := metric_problem(metrics, name):
            log.add("error", "teacher.metric", problem)
    if student is None:
        return
    with log.guard("student", "measuring it on the validation data"):
        started = perf_counter()
        (metrics,) = evaluator.measure([student], loaded.valid)
        log.measured["student_metrics"] = metrics
        log.seconds["evaluation"] = perf_counter() - started
        log.add("ok", "student.metrics", f"{_formatted(metrics)} before any training")
        known = log.measured.get("teacher_metrics", {})
        if problem := metric_problem(metrics, name):
            log.add("warning", "student.metric", f"before any training: {problem}")
        elif not metric_problem(known, name):
            _compare(log, name, known[name], metrics[name], 1.0 if spec.direction == "maximize" else -1.0)


def _compare(log: FindingLog, name: str, teacher: float, student: float, sign: float) -> None:
    way_out = "check weights, preprocessing and `direction`, train it for longer, or state a `metric` that shows it"
    both = f"`{name}` of {teacher:.4g} for the teacher and {student:.4g} for the untrained student"
    if sign * teacher < sign * student:
        problem = f"must be better than the student, but got {both}; {way_out}"
        log.add("error", "teacher.worse_than_student", problem)
    elif teacher == student:
        problem = f"no better than the untrained student: {both}; {way_out}"
        log.add("warning", "teacher.as_good_as_student", problem)


def _formatted(metrics: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in metrics.items())


def check_batching(log: FindingLog, loaded: LoadedTask, spec: StudySpec) -> None:
    """Whether the metrics are those of the whole set, or change with the size of its batches."""
    first, second = loaded.task.metric_objects(), loaded.task.metric_objects()
    for name in sorted(name for name in first.keys() & second.keys() if first[name] is second[name]):
        problem = f"`metric_objects()` must return new objects at every call, but `{name}` is the same one twice"
        log.add("error", "teacher.shared_metric", f"{problem}: it would mix the networks; build it inside")
    if metric_problem(log.measured.get("teacher_metrics", {}), spec.metric):
        return  # already reported
    few = Subset(loaded.valid, range(min(N_COMPARED_SAMPLES, len(loaded.valid))))
    whole = min(evaluation_batch_size(spec.train), len(few))
    sizes = (whole, max(1, whole // 3))
    trains = [spec.train.model_copy(update={"eval_batch_size": size}) for size in sizes]
    one, other = (evaluate(loaded, [loaded.teacher], few, train)[0] for train in trains)
    in_bfloat16 = uses_bfloat16(spec.train.precision, loaded.device)
    tolerance = BATCHING_TOLERANCE_BFLOAT16 if in_bfloat16 else BATCHING_TOLERANCE
    differing = sorted(name for name in one.keys() & other.keys() if _differ(one[name], other[name], tolerance))
    plain = _plain_numbers(loaded, spec) if differing else set()
    for name in differing:
        values = f"{one[name]:.4g} in batches of {sizes[0]}, {other[name]:.4g} in batches of {sizes[1]}"
        problem = f"metric `{name}` changes with the batch size: {values}"
        if name in plain:
            level: Level = "error" if name == spec.metric else "warning"
            way_out = (
                "return a tensor with one value per sample, or define `metric_objects()` or `score(outputs, labels)`"
            )
            log.add(level, "teacher.metric_of_batches", f"{problem}; {way_out}")
        else:
            cause = "outputs depend on the rest of their batch; it holds for this batch size only"
            log.add("warning", "teacher.outputs_of_batches", f"{problem}: {cause}")


@torch.no_grad()
def _plain_numbers(loaded: LoadedTask, spec: StudySpec) -> set[str]:
    """The metrics that `metrics` returns as one number per batch."""
    batch = next(ordered_batches(loaded, loaded.valid, spec.train.batch_size))
    output = in_float32(forward_in(spec.train.precision, loaded)(loaded.teacher, batch))
    teacher = {TEACHER_OUTPUT: output} if sees_teacher(loaded.task) else {}
    measured = loaded.task.metrics(output, batch, **teacher)
    return {name for name, value in measured.items() if not torch.as_tensor(value).ndim}


def _differ(one: float, other: float, tolerance: float) -> bool:
    if isnan(one) or isnan(other):
        return isnan(one) != isnan(other)
    return one != other and not isclose(one, other, rel_tol=tolerance, abs_tol=1e-6)


def check_guessing(log: FindingLog, loaded: LoadedTask, spec: StudySpec) -> None:
    """Whether the teacher is better than its own outputs shuffled among the samples, and than a constant one."""
    known = log.measured.get("teacher_metrics", {})
    if metric_problem(known, spec.metric):
        return  # already reported
    sign, teacher = (1.0 if spec.direction == "maximize" else -1.0), known[spec.metric]
    try:
        *shuffled, constant = _guesses(loaded, spec)
    except Exception as error:  # metrics of a task's own may well refuse outputs that no network gave
        log.add("ok", "teacher.guesses_unknown", f"not compared with guessing: {describe(error)}")
        return
    spread = stdev(shuffled)
    is_better = sign * (teacher - mean(shuffled)) > MIN_SPREADS * spread and sign * (teacher - constant) > 0
    if is_better or not isfinite(spread):
        return
    guesses = f"{mean(shuffled):.4g} +- {spread:.2g} with its outputs shuffled, {constant:.4g} with a constant output"
    problem = f"its `{spec.metric}` of {teacher:.4g} is no better than guessing ({guesses})"
    log.add("warning", "teacher.guesses", f"{problem}; check its weights and how its inputs are prepared")


@torch.no_grad()
def _guesses(loaded: LoadedTask, spec: StudySpec) -> list[float]:
    """The study's metric for each shuffle of the teacher's outputs within a batch, and last for their mean."""
    forward = forward_in(spec.train.precision, loaded)
    shuffled, constant = [Measurement(loaded) for _ in range(N_GUESSES)], Measurement(loaded)
    for batch in ordered_batches(loaded, loaded.valid, spec.train.batch_size, N_COMPARED_SAMPLES, spec.seed):
        n = batch_size(batch)
        if n < 2:
            continue  # nothing to shuffle
        output = in_float32(forward(loaded.teacher, batch))
        outputs = comparable(loaded, output)
        answer = None if outputs is None else decided(loaded, outputs)

        def seen(guess: Any) -> Seen:
            return Seen(loaded, guess, batch, output, answer)  # noqa: B023

        for i, measurement in enumerate(shuffled):
            measurement.add(seen(with_rows(output, n, partial(torch.roll, shifts=1 + i % (n - 1), dims=0))))
        constant.add(seen(with_rows(output, n, constant_rows)))
    return [measurement.metrics().get(spec.metric, nan) for measurement in (*shuffled, constant)]
