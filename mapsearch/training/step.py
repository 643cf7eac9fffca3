"""One step of one student, and the look back at several."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from mapsearch.core.runs import RunResult
from mapsearch.core.spec import TrainSpec
from mapsearch.losses.gradients import dead_terms, shares, term_gradients
from mapsearch.tasks.batches import step_seed
from mapsearch.tasks.loading import LoadedTask, seed_everything
from mapsearch.tasks.outputs import matched_outputs
from mapsearch.tasks.precision import forward_precision
from mapsearch.training.student import Member
from mapsearch.training.teacher_batches import TeacherBatch


def train_step(
    loaded: LoadedTask, train: TrainSpec, member: Member, parts: Sequence[TeacherBatch], step: int
) -> RunResult | None:
    """One step of the optimizer; a result when the run cannot go on. Nothing here waits for the device but step 0."""
    plan = member.plan
    seed_everything(step_seed(plan.seed, step))  # the same dropout for every recipe, alone or in a cohort
    # SGD steps as far as its gradients are large: without this a feature share would act as a learning rate
    task_part = 1 - plan.recipe.feature_share if train.optimizer == "sgd" and plan.recipe.feature_share < 1 else 1.0
    sums: list[Tensor] = []
    for teacher_batch in parts:
        terms = _terms(loaded, train, member, teacher_batch, step / plan.n_steps)
        values = torch.stack([*terms.values()])
        if step == 0 and not sums and (problem := _first_look(member, terms)):
            return member.result("invalid", error=problem)
        (values.sum() * (teacher_batch.share / task_part)).backward()  # type: ignore[no-untyped-call]
        sums.append(values.detach() * teacher_batch.share)
    for group in member.optimizer.param_groups:
        group["lr"] = train.lr * learning_rate(train, step, plan.n_steps)
    norm = clip_grad_norm_(member.parameters, train.max_grad_norm)
    member.optimizer.step()
    member.optimizer.zero_grad()
    total = sums[0] if len(sums) == 1 else torch.stack(sums).sum(0)
    if step == 0:
        member.first_loss = float(total.sum())
    member.recent.append(torch.cat([total, norm.detach().unsqueeze(0)]))
    return None


def learning_rate(train: TrainSpec, step: int, n_steps: int) -> float:
    """Factor of the peak: linear warm-up, then cosine to zero over `n_steps`; every rung is a complete schedule."""
    warm = max(1, round(train.warmup * n_steps))
    if step < warm:
        return (step + 1) / warm
    return 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, n_steps - warm)))


def look_back(member: Member, rows: Sequence[Sequence[float]], step: int) -> RunResult | None:
    """Write the curve on; the result of a run that has diverged: the first step and term that are not finite.

    Args:
        rows: the values of `member.recent`, the last of them those of `step`.
    """
    names = (*member.terms, "gradient")
    for at, row in enumerate(rows, step - len(rows) + 1):
        for name, value in zip(names, row, strict=True):
            if not math.isfinite(value):
                lr = member.optimizer.param_groups[0]["lr"]
                return member.result("diverged", error=f"term `{name}` is {value} at step {at + 1} (lr {lr:g})")
    member.recent.clear()
    member.curve.append((step + 1, math.fsum(rows[-1][:-1])))
    return None


def _terms(
    loaded: LoadedTask, train: TrainSpec, member: Member, teacher_batch: TeacherBatch, progress: float
) -> dict[str, Tensor]:
    with forward_precision(train.precision, loaded.device):
        output = loaded.task.forward(member.student, teacher_batch.batch)
        task = loaded.task.loss(output, teacher_batch.batch)
        logits = matched_outputs(loaded.task, output) if member.plan.recipe.uses_logits else None
    features = member.taps.take()
    return member.loss.terms(
        task, logits, teacher_batch.logits, features, teacher_batch.features, teacher_batch.mask, progress
    )


def _first_look(member: Member, terms: dict[str, Tensor]) -> str:
    """Measure what each term does to the student; the problem when one does nothing."""
    member.terms = tuple(terms)
    gradients = term_gradients(terms, member.student, member.loss)
    member.shares = shares(gradients, member.loss)
    values = {name: float(term.detach()) for name, term in terms.items()}
    alive = {name: g for name, g in gradients.items() if values[name] > 0}  # a zero loss is no fault
    dead = dead_terms(alive, member.loss) if math.isfinite(math.fsum(values.values())) else []
    return dead[0] if dead else ""
