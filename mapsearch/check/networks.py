"""Checks of the two networks on their own: weights, modes, metrics and logits."""

from time import perf_counter
from typing import Any

import torch
from torch import Tensor, nn

from mapsearch.check.notebook import Notebook
from mapsearch.check.vocabularies import check_vocabularies
from mapsearch.core.findings import Level
from mapsearch.core.spec import StudySpec
from mapsearch.features.weights import weight_problems
from mapsearch.tasks.batches import evaluate, logits_of, metric_of
from mapsearch.tasks.loading import Bench


def check_student(book: Notebook, bench: Bench, spec: StudySpec) -> nn.Module | None:
    """A student fresh under the study's seed, or None when there is none to go on with."""
    student = None
    with book.guard("student", "`student()`"):
        first, second = bench.new_student(spec.seed), bench.new_student(spec.seed)
        student = second if _is_sound(book, bench, first, second) else None
    return student


def _is_sound(book: Notebook, bench: Bench, first: nn.Module, second: nn.Module) -> bool:
    """Whether two students of one seed are ones to go on with."""
    if second is bench.teacher:
        bench.teacher.eval()
        book.write("error", "student", "`student()` must return a network of its own, but it returns the teacher")
        return False
    parameters = list(second.parameters())
    n_all, n_learn = sum(p.numel() for p in parameters), sum(p.numel() for p in parameters if p.requires_grad)
    book.measured["n_student_parameters"] = n_all
    if {id(p) for p in first.parameters()} & {id(p) for p in parameters if p.requires_grad}:
        problem = "must return a new module at every call, but two students share their parameters; build it inside"
        book.write("error", "student", f"`student()` {problem}")
    elif not _same_weights(first, second):
        problem = "gives other weights under the same seed; draw them from torch, NumPy or random, nothing else"
        book.write("warning", "student", f"`student()` {problem}: recipes will not be compared from one start")
    if not n_learn:
        book.write("error", "student", f"none of its {n_all:,} parameters is trainable; set `requires_grad`")
        return False
    level: Level = "ok" if n_learn == n_all else "warning"
    book.write(level, "student", f"{n_learn:,} of {n_all:,} parameters are trainable")
    return True


def _same_weights(one: nn.Module, other: nn.Module) -> bool:
    a, b = one.state_dict(), other.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a if isinstance(a[name], Tensor))


def check_teacher(book: Notebook, bench: Bench) -> None:
    """Whether the teacher is frozen and trained, also after a student was built, which may have taken its modules."""
    book.measured["n_teacher_parameters"] = n = sum(p.numel() for p in bench.teacher.parameters())
    free = [name for name, p in bench.teacher.named_parameters() if p.requires_grad]
    learning = [name or "itself" for name, module in bench.teacher.named_modules() if module.training]
    shared = "the student must hold copies (`copy.deepcopy`), not modules of the teacher"
    problems = [f"must be frozen, but `{free[0]}` takes gradients; {shared}"] if free else []
    problems += [f"must be in eval mode, but `{learning[0]}` is in training mode; {shared}"] if learning else []
    blank = weight_problems(bench.teacher)
    more = f" (and {len(blank) - 1} more)" if len(blank) > 1 else ""
    problems += [f"must be trained, but its weight {blank[0]}{more}; load its checkpoint"] if blank else []
    for problem in problems:
        book.write("error", "teacher", problem)
    if not problems:
        book.write("ok", "teacher", f"frozen, in eval mode, no blank weights, {n:,} parameters")


def check_metrics(book: Notebook, bench: Bench, spec: StudySpec, student: nn.Module | None) -> None:
    """Measure both networks on the validation data and compare them."""
    name = spec.metric
    with book.guard("teacher", "measuring it on the validation data"):
        book.measured["teacher_metrics"] = (metrics := evaluate(bench, [bench.teacher], bench.valid)[0])
        teacher = metric_of(metrics, name)
        book.write("ok", "teacher", f"{_said(metrics)} on {len(bench.valid)} validation samples")
        if teacher != teacher:
            book.write("error", "teacher", f"its `{name}` must be a number, but got {teacher}")
    if student is None:
        return
    with book.guard("student", "measuring it on the validation data"):
        started = perf_counter()
        book.measured["student_metrics"] = (metrics := evaluate(bench, [student], bench.valid)[0])
        book.seconds["evaluation"] = perf_counter() - started
        book.write("ok", "student", f"{_said(metrics)} before any training")
        known = book.measured.get("teacher_metrics", {})
        if name in metrics and name in known:
            _compare(book, name, known[name], metrics[name], 1.0 if spec.direction == "maximize" else -1.0)


def _compare(book: Notebook, name: str, teacher: float, student: float, sign: float) -> None:
    both = f"`{name}` {teacher:.4g} of the teacher, {student:.4g} of the untrained student"
    if sign * teacher < sign * student:
        problem = f"must be better than the student, but got {both}; check weights and preprocessing"
        book.write("error", "teacher", problem)
    elif teacher == student:
        book.write(
            "warning", "teacher", f"no better than the untrained student: {both}; check weights and preprocessing"
        )


def _said(metrics: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in metrics.items())


def check_logits(book: Notebook, bench: Bench, student: nn.Module, batch: Any) -> None:
    """Whether both networks put out logits of one shape, or over one vocabulary padded to two widths."""
    with torch.no_grad():
        s, t = (logits_of(bench, bench.task.forward(model, batch)) for model in (student, bench.teacher))
    if s.shape[:-1] != t.shape[:-1]:
        shapes = f"student {list(s.shape)}, teacher {list(t.shape)}"
        book.write("error", "logits", f"must have one shape, but got {shapes}; select classes in `logits(output)`")
    else:
        check_vocabularies(book, bench.task, s.shape, t.shape)
