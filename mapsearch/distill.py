"""STEP: run plans -> runs. Trains a cohort of students on the same batches and yields how it goes."""

import gc
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_
from torch.optim import SGD, AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR

from mapsearch.core.errors import LayerNotFound
from mapsearch.core.records import Progress, RunPlan, RunResult
from mapsearch.core.space import RecipeSpace
from mapsearch.core.spec import TrainSpec
from mapsearch.features.taps import FeatureTaps
from mapsearch.losses.gradients import DOMINATING, INERT, check_optimizer, dead_terms, shares, term_gradients
from mapsearch.losses.recipe_loss import RecipeLoss
from mapsearch.tasks.batches import evaluate, logits_of, train_batches
from mapsearch.tasks.loading import Bench, describe, seed_everything

CALIBRATION_BATCHES = 4
LOG_EVERY = 10
"""Steps between two progress events, and between two looks for values that are not finite."""

_OUT_OF_MEMORY = (torch.OutOfMemoryError, MemoryError)


@dataclass
class _Taught:
    """What the teacher gave for one batch."""

    logits: Tensor | None
    features: dict[str, Tensor]
    mask: Tensor | None


@dataclass
class _Member:
    """One student of the cohort with all that trains it."""

    plan: RunPlan
    student: nn.Module
    loss: RecipeLoss
    taps: FeatureTaps
    optimizer: Optimizer
    schedule: LambdaLR
    recent: list[dict[str, Tensor]] = field(default_factory=list)
    curve: list[tuple[int, float]] = field(default_factory=list)
    shares: tuple[float, ...] = ()
    first_loss: float | None = None
    seconds: float = 0.0

    def result(self, state: Any, **fields: Any) -> RunResult:
        loss = self.loss
        return RunResult(
            self.plan.key, state, seconds=self.seconds, curve=tuple(self.curve), scales=tuple(loss.scales.tolist()),
            norms=loss.norms, mixed_weights=loss.mixed_weights, gradient_shares=self.shares,
            first_loss=self.first_loss, notes=self._notes(), **fields,
        )  # fmt: skip

    def _notes(self) -> tuple[str, ...]:
        said = ((INERT, "inert"), (DOMINATING, "dominating"))
        notes = [
            f"term `{name}` is {said[share > INERT][1]}: {share:.2%} of the gradient"
            for name, share in zip(self.loss.names, self.shares, strict=False)
            if share < INERT or share > DOMINATING
        ]
        shut = zip(self.loss.names, self.loss.gate.dropped(), strict=True) if self.loss.gate is not None else ()
        return (*notes, *(f"term `{name}` opposed the task in {part:.0%} of the steps" for name, part in shut if part))


def distill(
    bench: Bench, space: RecipeSpace, train: TrainSpec, plans: Sequence[RunPlan]
) -> Iterator[Progress | RunResult]:
    """Train one student per plan, side by side, and yield progress and one `RunResult` each.

    All plans share seed and number of steps, and so the initial student, the batches and each
    teacher pass; a member comes out as if it were trained alone. A run whose values stop being
    finite ends alone. A cohort out of memory is halved and started again; a lone run is `oom`.
    """
    assert len({(plan.seed, plan.n_steps) for plan in plans}) == 1, "a cohort shares seed and steps"
    left = list(plans)
    try:
        for event in _train(bench, space, train, plans):
            if isinstance(event, RunResult):
                left = [plan for plan in left if plan.key != event.key]
            yield event
        return
    except _OUT_OF_MEMORY as error:
        message = f"out of memory with batch size {train.batch_size}: {' '.join(str(error).split())[:200]}"
    gc.collect()  # a student or optimizer in a reference cycle would keep its memory
    if bench.device.type == "cuda":
        torch.cuda.empty_cache()
    if len(left) == 1:
        yield RunResult(left[0].key, "oom", error=message)
        return
    for half in (left[: len(left) // 2], left[len(left) // 2 :]):
        if half:
            yield from distill(bench, space, train, half)


def _train(
    bench: Bench, space: RecipeSpace, train: TrainSpec, plans: Sequence[RunPlan]
) -> Iterator[Progress | RunResult]:
    seed, n_steps = plans[0].seed, plans[0].n_steps
    with ExitStack() as stack:
        teach = _open_teacher(bench, plans, stack)
        members = []
        for plan in plans:
            try:
                members.append(_open_member(bench, space, train, plan, teach, stack))
            except _OUT_OF_MEMORY:
                raise
            except LayerNotFound as error:
                yield RunResult(plan.key, "invalid", error=str(error))
            except Exception as error:
                yield RunResult(plan.key, "crashed", error=describe(error))
        for step, batch in enumerate(train_batches(bench, train.batch_size, seed, n_steps)):
            if not members:
                return
            started = _now(bench)
            taught = teach(batch)
            taught_seconds = (_now(bench) - started) / len(members)
            for member in tuple(members):
                started = _now(bench)
                ended = _try_step(bench, train, member, batch, taught, step)
                member.seconds += _now(bench) - started + taught_seconds
                ended = ended or (_not_finite(member) if _is_logged(step, n_steps) else None)
                if ended is not None:
                    members.remove(member)
                    yield ended
                elif _is_logged(step, n_steps):
                    yield Progress(member.plan.key, step + 1, n_steps, member.curve[-1][1])
        yield from _measure(bench, members, train.batch_size)


def _measure(bench: Bench, members: Sequence[_Member], size: int) -> Iterator[RunResult]:
    if not members:
        return
    try:
        found = evaluate(bench, [member.student for member in members], bench.split(members[0].plan.split), size)
    except _OUT_OF_MEMORY:
        raise
    except Exception as error:
        yield from (member.result("crashed", error=describe(error)) for member in members)
        return
    for member, metrics in zip(members, found, strict=True):
        bad = [name for name, value in metrics.items() if not math.isfinite(value)]
        if bad:
            yield member.result("invalid", error=f"metric `{bad[0]}` is {metrics[bad[0]]}")
        else:
            yield member.result("complete", metrics=metrics)


def _open_teacher(bench: Bench, plans: Sequence[RunPlan], stack: ExitStack) -> Callable[[Any], _Taught]:
    """A function batch -> what the teacher gives, over just the layers that some plan needs."""
    paths = {path for plan in plans for path in plan.recipe.mapping.teacher_layers}
    wanted = any(plan.recipe.uses_teacher for plan in plans)
    taps = stack.enter_context(FeatureTaps(bench.teacher, paths, copied=paths))

    @torch.no_grad()
    def teach(batch: Any) -> _Taught:
        mask = bench.task.mask(batch)
        if not wanted:
            return _Taught(None, {}, mask)
        logits = logits_of(bench, bench.task.forward(bench.teacher, batch))
        return _Taught(logits, taps.take(), mask)

    return teach


def _open_member(
    bench: Bench, space: RecipeSpace, train: TrainSpec, plan: RunPlan, teach: Callable[[Any], _Taught], stack: ExitStack
) -> _Member:
    student = bench.new_student(plan.seed)
    loss = RecipeLoss(plan.recipe, space.student, space.teacher, plan.seed).to(bench.device)
    paths = plan.recipe.mapping.student_layers
    copied = _calibrate(bench, loss, student, plan, train, teach) if paths else ()
    taps = stack.enter_context(FeatureTaps(student, paths, copied))
    parameters = [p for p in [*student.parameters(), *loss.parameters()] if p.requires_grad]
    optimizer: Optimizer
    if train.optimizer == "sgd":
        optimizer = SGD(parameters, lr=train.lr, momentum=0.9, nesterov=True, weight_decay=train.weight_decay)
    else:
        optimizer = AdamW(parameters, lr=train.lr, weight_decay=train.weight_decay, fused=True)
    check_optimizer(loss, optimizer)
    return _Member(plan, student, loss, taps, optimizer, LambdaLR(optimizer, _learning_rate(train, plan.n_steps)))


def _calibrate(
    bench: Bench, loss: RecipeLoss, student: nn.Module, plan: RunPlan, train: TrainSpec, teach: Callable[[Any], _Taught]
) -> tuple[str, ...]:
    """Freeze the loss scales; the student stays as it was. Layers overwritten in place come out."""
    before = {name: value.clone() for name, value in student.state_dict().items()}
    paths = plan.recipe.mapping.student_layers
    seen: list[tuple[dict[str, Tensor], dict[str, Tensor], Tensor | None]] = []
    overwritten: set[str] = set()
    seed_everything(plan.seed)
    with torch.no_grad(), FeatureTaps(student, paths) as raw, FeatureTaps(student, paths, copied=paths) as taps:
        for batch in train_batches(bench, train.batch_size, plan.seed, min(CALIBRATION_BATCHES, plan.n_steps)):
            bench.task.forward(student, batch)
            overwritten.update(raw.overwritten())
            raw.take()
            taught = teach(batch)
            seen.append((taps.take(), taught.features, taught.mask))
        loss.calibrate(seen)
    student.load_state_dict(before)  # the running statistics of batch norm have moved
    return tuple(overwritten)


def _learning_rate(train: TrainSpec, n_steps: int) -> Callable[[int], float]:
    """Linear warm-up, then cosine to zero over exactly `n_steps`: every rung is a complete schedule."""
    warm = max(1, round(train.warmup * n_steps))

    def factor(step: int) -> float:
        if step < warm:
            return (step + 1) / warm
        return 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, n_steps - warm)))

    return factor


def _try_step(
    bench: Bench, train: TrainSpec, member: _Member, batch: Any, taught: _Taught, step: int
) -> RunResult | None:
    try:
        return _step(bench, train, member, batch, taught, step)
    except (*_OUT_OF_MEMORY, torch.AcceleratorError):  # after the latter the process is of no more use
        raise
    except Exception as error:
        return member.result("crashed", error=describe(error))


def _step(bench: Bench, train: TrainSpec, member: _Member, batch: Any, taught: _Taught, step: int) -> RunResult | None:
    plan = member.plan
    seed_everything(plan.seed * 1_000_003 + step)  # the same dropout for every recipe, alone or in a cohort
    output = bench.task.forward(member.student, batch)
    task, logits = bench.task.loss(output, batch), bench.task.logits(output)
    terms = member.loss.terms(
        task, logits, taught.logits, member.taps.take(), taught.features, taught.mask, step / plan.n_steps
    )
    total = torch.stack([*terms.values()]).sum()
    if step == 0:
        member.first_loss = float(total.detach())
        gradients = term_gradients(terms, member.student, member.loss)
        member.shares = shares(gradients, member.loss)
        alive = {name: g for name, g in gradients.items() if float(terms[name].detach()) > 0}  # a zero loss is no fault
        dead = dead_terms(alive, member.loss) if math.isfinite(member.first_loss) else []
        if dead:
            return member.result("invalid", error=dead[0])
    # SGD steps as far as its gradients are large: without this a feature share would act as a learning rate
    task_part = 1 - plan.recipe.feature_share if train.optimizer == "sgd" and plan.recipe.feature_share < 1 else 1.0
    (total / task_part).backward()  # type: ignore[no-untyped-call]
    norm = clip_grad_norm_([p for group in member.optimizer.param_groups for p in group["params"]], train.max_grad_norm)
    member.optimizer.step()
    member.schedule.step()
    member.optimizer.zero_grad()
    member.recent.append({**{name: term.detach() for name, term in terms.items()}, "gradient": norm.detach()})
    if _is_logged(step, plan.n_steps):
        member.curve.append((step + 1, float(total.detach())))
    return None


def _now(bench: Bench) -> float:
    """Seconds, with all work on a GPU done: else the first member to wait would pay for the others."""
    if bench.device.type == "cuda":
        torch.cuda.synchronize(bench.device)
    return perf_counter()


def _is_logged(step: int, n_steps: int) -> bool:
    return (step + 1) % LOG_EVERY == 0 or step + 1 == n_steps


def _not_finite(member: _Member) -> RunResult | None:
    """The result of a run that has diverged since the last look: the first step and term that are not finite."""
    recent, member.recent = member.recent, []
    values = torch.stack([torch.stack([*terms.values()]) for terms in recent])
    if bool(values.isfinite().all()):
        return None
    first = next(i for i, row in enumerate(values) if not bool(row.isfinite().all()))
    step = member.curve[-1][0] - len(recent) + first + 1
    name, value = next((name, float(v)) for name, v in recent[first].items() if not math.isfinite(float(v)))
    member.curve = [(s, v) for s, v in member.curve if math.isfinite(v)]
    return member.result("diverged", error=f"term `{name}` is {value} at step {step} (lr {_lr(member):g})")


def _lr(member: _Member) -> float:
    return float(member.optimizer.param_groups[0]["lr"])
