"""One step of one student, and the look back at several."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from mapsearch.core.runs import RunResult
from mapsearch.core.train_spec import TrainSpec
from mapsearch.losses.gradients import dead_terms, shares, term_gradients
from mapsearch.tasks.loaded_task import LoadedTask
from mapsearch.tasks.outputs import matched_outputs
from mapsearch.tasks.precision import forward_precision
from mapsearch.tasks.seeding import seed_everything, step_seed
from mapsearch.tasks.user_code import no_exit
from mapsearch.training.averaging import update_average
from mapsearch.training.optimizer import loss_divisor
from mapsearch.training.schedule import lr_factor
from mapsearch.training.student import StudentTraining
from mapsearch.training.teacher_batches import TeacherBatch


def train_step(
    loaded: LoadedTask, train: TrainSpec, training: StudentTraining, parts: Sequence[TeacherBatch], step: int
) -> RunResult | None:
    """One step of the optimizer; a result when the run cannot go on. Nothing here waits for the device but step 0."""
    plan = training.plan
    seed_everything(step_seed(plan.seed, step))  # the same dropout for every recipe, alone or in a cohort
    divisor = loss_divisor(plan.recipe, train)
    sums: list[Tensor] = []
    for teacher_batch in parts:
        terms = loss_terms(loaded, train, training, teacher_batch, step / plan.n_steps)
        values = torch.stack([*terms.values()])
        if step == 0 and not sums and (problem := _measure_gradients(training, terms)):
            return training.result("invalid", error=problem)
        (values.sum() * (teacher_batch.share / divisor)).backward()  # type: ignore[no-untyped-call]
        sums.append(values.detach() * teacher_batch.share)
    norm = _update(train, training, step)
    total = sums[0] if len(sums) == 1 else torch.stack(sums).sum(0)
    if step == 0:
        first = total if train.accumulate == 1 else torch.stack(sums[: plan.n_parts]).sum(0) * train.accumulate
        training.first_loss = float(first.sum())  # of the first batch
    training.recent.append(torch.cat([total, norm.detach().to(total.device).unsqueeze(0)]))
    return None


def loss_terms(
    loaded: LoadedTask, train: TrainSpec, training: StudentTraining, teacher_batch: TeacherBatch, progress: float
) -> dict[str, Tensor]:
    """The weighted terms of the student's loss on a batch, by name, with their graph."""
    with no_exit("`forward` or `loss`"), forward_precision(train.precision, loaded.device):
        output = loaded.task.forward(training.student, teacher_batch.batch)
        recipe = training.plan.recipe
        task = loaded.task.loss(output, teacher_batch.batch) if recipe.uses_task else None
        outputs = matched_outputs(loaded.task, output) if recipe.uses_outputs else None
    features = training.taps.take()
    return training.loss.terms(
        task, outputs, teacher_batch.outputs, features, teacher_batch.features, teacher_batch.mask, progress
    )


def record_values(training: StudentTraining, rows: Sequence[Sequence[float]], step: int) -> RunResult | None:
    """Write the curve on; the result of a run that has diverged: the first step and term that are not finite.

    Args:
        rows: the values of `training.recent`, the last of them those of `step`.
    """
    names = (*training.terms, "gradient")
    for at, row in enumerate(rows, step - len(rows) + 1):
        for name, value in zip(names, row, strict=True):
            if not math.isfinite(value):
                lr = training.optimizer.param_groups[0]["lr"]
                return training.result("diverged", error=f"term `{name}` is {value} at step {at + 1} (lr {lr:g})")
    training.recent.clear()
    training.curve.append((step + 1, math.fsum(rows[-1][:-1])))
    return None


def _update(train: TrainSpec, training: StudentTraining, step: int) -> Tensor:
    """Step the optimizer at this step's learning rate; the gradient's norm before it was clipped."""
    factor = training.plan.recipe.lr_factor * lr_factor(train, step, training.plan.n_steps)
    for group in training.optimizer.param_groups:
        group["lr"] = group["initial_lr"] * factor
    norm = clip_grad_norm_(training.parameters, train.max_grad_norm)
    training.optimizer.step()
    training.optimizer.zero_grad()
    if training.average is not None and train.ema is not None:
        update_average(training.average, training.student, train.ema, step)
    return norm


def _measure_gradients(training: StudentTraining, terms: dict[str, Tensor]) -> str:
    """Measure what each term does to the student; the problem when one does nothing."""
    training.terms = tuple(terms)
    gradients = term_gradients(terms, training.student, training.loss)
    training.gradient_shares = shares(gradients, training.loss)
    values = {name: float(term.detach()) for name, term in terms.items()}
    alive = {name: g for name, g in gradients.items() if values[name] > 0}  # a zero loss is no fault
    dead = dead_terms(alive, training.loss) if math.isfinite(math.fsum(values.values())) else []
    return dead[0] if dead else ""
