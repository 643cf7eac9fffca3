"""Checks of the two networks on their own: weights, modes and outputs."""

from typing import Any

import torch
from torch import Tensor, nn

from mapsearch.check.finding_log import FindingLog
from mapsearch.check.vocabularies import check_vocabularies
from mapsearch.core.findings import Level
from mapsearch.core.spec import StudySpec
from mapsearch.features.weights import weight_problems
from mapsearch.tasks.loaded_task import LoadedTask
from mapsearch.tasks.nested import batch_size
from mapsearch.tasks.output_kinds import decide_outputs
from mapsearch.tasks.outputs import matched_outputs
from mapsearch.tasks.precision import forward_in, uses_bfloat16

HALF_PRECISION_WAY_OUT = "set `train.precision: bfloat16`, or return `teacher.float()`"


def check_student(log: FindingLog, loaded: LoadedTask, spec: StudySpec) -> nn.Module | None:
    """A student fresh under the study's seed, or None when there is none to go on with."""
    student = None
    with log.guard("student", "`student()`"):
        first, second = loaded.new_student(spec.seed), loaded.new_student(spec.seed)
        student = second if _is_sound(log, loaded, first, second) else None
    return student


def _is_sound(log: FindingLog, loaded: LoadedTask, first: nn.Module, second: nn.Module) -> bool:
    """Whether two students of one seed are ones to go on with."""
    if second is loaded.teacher:
        loaded.teacher.eval()
        problem = "`student()` must return a network of its own, but it returns the teacher"
        log.add("error", "student.is_teacher", problem)
        return False
    parameters = list(second.parameters())
    n_all, n_learn = sum(p.numel() for p in parameters), sum(p.numel() for p in parameters if p.requires_grad)
    log.measured["n_student_parameters"] = n_all
    if {id(p) for p in first.parameters()} & {id(p) for p in parameters if p.requires_grad}:
        problem = "must return a new module at every call, but two students share their parameters; build it inside"
        log.add("error", "student.shared_parameters", f"`student()` {problem}")
    elif not _same_weights(first, second):
        problem = "has different weights under the same seed; draw them from torch, NumPy or random only"
        log.add("warning", "student.unseeded", f"`student()` {problem}: recipes will not start from the same student")
    if not n_learn:
        log.add("error", "student.frozen", f"none of its {n_all:,} parameters is trainable; set `requires_grad`")
        return False
    level: Level = "ok" if n_learn == n_all else "warning"
    log.add(level, "student.trainable", f"{n_learn:,} of {n_all:,} parameters are trainable")
    return True


def _same_weights(one: nn.Module, other: nn.Module) -> bool:
    a, b = one.state_dict(), other.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a if isinstance(a[name], Tensor))


def check_teacher(log: FindingLog, loaded: LoadedTask, spec: StudySpec) -> None:
    """Whether the teacher is frozen and trained, also after a student was built, which may have taken its modules."""
    log.measured["n_teacher_parameters"] = n = sum(p.numel() for p in loaded.teacher.parameters())
    free = [name for name, p in loaded.teacher.named_parameters() if p.requires_grad]
    learning = [name or "itself" for name, module in loaded.teacher.named_modules() if module.training]
    shared = "the student must hold copies (`copy.deepcopy`), not modules of the teacher"
    blank = weight_problems(loaded.teacher)
    if free:
        log.add("error", "teacher.not_frozen", f"must be frozen, but `{free[0]}` takes gradients; {shared}")
    if learning:
        mode = f"must be in eval mode, but `{learning[0]}` is in training mode"
        log.add("error", "teacher.training_mode", f"{mode}; {shared}")
    if blank:
        more = f" (and {len(blank) - 1} more)" if len(blank) > 1 else ""
        log.add("error", "teacher.blank", f"must be trained, but its weight {blank[0]}{more}; load its checkpoint")
    half = {p.dtype for p in loaded.teacher.parameters()} & {torch.float16, torch.bfloat16}
    if half and not uses_bfloat16(spec.train.precision, loaded.device):
        problem = f"its weights are {half.pop()}, but forward passes compute in float32"
        log.add("warning", "teacher.half_precision", f"{problem}; {HALF_PRECISION_WAY_OUT}")
    if not (free or learning or blank):
        log.add("ok", "teacher.ready", f"frozen, in eval mode, no blank weights, {n:,} parameters")


def read_outputs(log: FindingLog, loaded: LoadedTask, spec: StudySpec) -> None:
    """Decide what the outputs are; everything after it reads them so."""
    form = decide_outputs(loaded, spec.outputs, spec.train.precision)
    loaded.task.output_form = log.measured["outputs"] = form
    also = ", held against the next token's label" if form.next_token else ""
    log.add("ok", "outputs.kind", f"{form.kind}{also}: {form.why}")
    for loss in spec.space.output_loss:
        if problem := form.problem(loss):
            log.add("error", "outputs.loss", f"`space.output_loss`: {problem}")
    if not form.has_loss and not (form.losses or spec.space.output_loss):
        log.add("warning", "outputs.features_alone", "no task loss and no outputs to match: features alone teach")


def check_outputs(log: FindingLog, loaded: LoadedTask, spec: StudySpec, student: nn.Module, batch: Any) -> None:
    """Whether both networks' outputs have one shape, or are over one vocabulary padded to two widths."""
    forward = forward_in(spec.train.precision, loaded)
    with torch.no_grad():
        s, t = (matched_outputs(loaded.task, forward(model, batch)) for model in (student, loaded.teacher))
    if s is None or t is None:
        return
    kind, shapes = loaded.task.output_form.kind, f"student {list(s.shape)}, teacher {list(t.shape)}"
    n = batch_size(batch)
    if n not in (len(s), len(t)):
        problem = f"must have one row per sample, but got {shapes} for a batch whose first tensor has {n} rows"
        way_out = "let `collate` put a tensor `[B, ...]` first, such as the `labels` of a batch of graphs"
        log.add("error", "outputs.batch_axis", f"{problem}; {way_out}, and move the batch to the outputs' first axis")
    elif s.shape[:-1] != t.shape[:-1] or (kind in ("labels", "values") and s.shape != t.shape):
        problem = f"must have one shape, but got {shapes}; select what both share in `outputs(output)`"
        log.add("error", "outputs.shape", problem)
    elif kind == "classes":
        check_vocabularies(log, loaded.task, s.shape, t.shape)
    elif s.shape == t.shape:
        log.add("ok", "outputs.same_shape", f"{list(s.shape)} from both networks")
    else:
        log.add("ok", "outputs.other_width", f"{shapes}: only what embeddings are to each other is matched")
