"""One step of one student, and the look back at several."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from mapsearch.core.runs import RunResult
from mapsearch.core.train_spec import TrainSpec
from mapsearch.losses.gradients import TermGradient, dead_terms, raw_keys, shares, term_gradients
from mapsearch.tasks.loaded_task import LoadedTask
from mapsearch.tasks.outputs import matched_outputs
from mapsearch.tasks.precision import forward_precision
from mapsearch.tasks.seeding import seed_everything, step_seed
from mapsearch.tasks.user_code import no_exit
from mapsearch.training.averaging import update_average
from mapsearch.training.optimizer import loss_divisor, set_learning_rate
from mapsearch.training.schedule import lr_factor
from mapsearch.training.student import StudentTraining
from mapsearch.training.teacher_batches import TeacherBatch


def train_step(
    loaded: LoadedTask, train: TrainSpec, training: StudentTraining, parts: Sequence[TeacherBatch], step: int
) -> RunResult | None:
    """One step of the optimizer; a result when the run cannot go on. Nothing here waits for the device but step 0."""
    prepare_step(train, training, step)
    row = descend(loaded, train, training, parts, step)
    if isinstance(row, RunResult):
        return row
    finish_step(train, training, row, step)
    return None


def prepare_step(train: TrainSpec, training: StudentTraining, step: int) -> None:
    """Seed the step and set its learning rate."""
    plan = training.plan
    seed = step_seed(plan.seed, step, training.processes.rank)
    seed_everything(seed)  # the same dropout for every recipe, alone or in a cohort
    factor = plan.recipe.lr_factor * lr_factor(train, step, plan.n_steps)
    set_learning_rate(training.optimizer, factor)


def descend(
    loaded: LoadedTask,
    train: TrainSpec,
    training: StudentTraining,
    parts: Sequence[TeacherBatch],
    step: int,
    fade: Tensor | None = None,
) -> Tensor | RunResult:
    """The step's work on the device: losses, gradients, optimizer; a result when the run cannot go on after step 0.

    Args:
        fade: that of the loss at this step, on the device.

    Returns:
        The values of the terms and the norm of the gradient before it was clipped, `[terms + 1]`.
    """
    plan, processes, divisor = training.plan, training.processes, loss_divisor(training.plan.recipe, train)
    sums: list[Tensor] = []
    for teacher_batch in parts:
        raw = raw_terms(loaded, train, training, teacher_batch, step / plan.n_steps)
        terms = training.loss.weighted(raw, step / plan.n_steps, fade)
        values = torch.stack([*terms.values()])
        if step == 0 and not sums and (problem := _measure_gradients(training, raw, terms)):
            return training.result("invalid", error=problem)
        (values.sum() * (teacher_batch.share / divisor)).backward()  # type: ignore[no-untyped-call]
        sums.append(values.detach() * teacher_batch.share)
    processes.average_gradients(training.parameters)
    norm = processes.clip_gradients(training.parameters, train.max_grad_norm)
    training.optimizer.step()
    training.optimizer.zero_grad()
    total = processes.mean(sums[0] if len(sums) == 1 else torch.stack(sums).sum(0))
    if step == 0:
        first = torch.stack(sums[: plan.n_parts]).sum(0) * train.accumulate
        training.first_loss = float(processes.mean(first).sum())  # of the first batch
    return torch.cat([total, norm.detach().to(total.device).unsqueeze(0)])


def finish_step(train: TrainSpec, training: StudentTraining, row: Tensor, step: int) -> None:
    """Keep what `descend` returned, and take the student's new weights into their average."""
    training.recent.append(row)
    if training.average is not None and train.ema is not None:
        update_average(training.average, training.student, train.ema, step)


def loss_terms(
    loaded: LoadedTask, train: TrainSpec, training: StudentTraining, teacher_batch: TeacherBatch, progress: float
) -> dict[str, Tensor]:
    """The weighted terms of the student's loss on a batch, by name, with their graph."""
    return training.loss.weighted(raw_terms(loaded, train, training, teacher_batch, progress), progress)


def raw_terms(
    loaded: LoadedTask, train: TrainSpec, training: StudentTraining, teacher_batch: TeacherBatch, progress: float
) -> dict[str, Tensor]:
    """The terms before they are weighted."""
    training.taps.forget()
    with no_exit("`forward` or `loss`"), forward_precision(train.precision, loaded.device):
        output = loaded.task.forward(training.student, teacher_batch.batch)
        recipe = training.plan.recipe
        task = loaded.task.loss(output, teacher_batch.batch) if recipe.uses_task else None
        outputs = matched_outputs(loaded.task, output) if recipe.uses_outputs else None
    features = training.taps.take()
    return training.loss.raw_terms(
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
    training.term_curve.append((step + 1, tuple(rows[-1][:-1])))
    return None


def _measure_gradients(training: StudentTraining, raw: dict[str, Tensor], terms: dict[str, Tensor]) -> str:
    """Measure what each term does to the student; the problem when one does nothing."""
    training.terms = tuple(terms)
    if training.processes.shards:
        return ""  # the gradient of a single term cannot be had at weights that lie in parts
    values = {name: float(term.detach()) for name, term in terms.items()}
    gradients = {
        name: gradient.times(values[name] / value if (value := float(raw[name].detach())) else 0.0)
        for name, gradient in _raw_gradients(training, raw).items()
    }
    training.gradient_shares = shares(gradients, training.loss)
    alive = {name: g for name, g in gradients.items() if values[name] > 0}  # a zero loss is no fault
    dead = dead_terms(alive, training.loss) if math.isfinite(math.fsum(values.values())) else []
    return dead[0] if dead else ""


def _raw_gradients(training: StudentTraining, raw: dict[str, Tensor]) -> dict[str, TermGradient]:
    """The gradients of the raw terms; one that a student measured which began in the same way is not measured again."""
    plan, known = training.plan, training.first_gradients
    keys = {name: (plan.seed, plan.n_steps, plan.n_parts, *key) for name, key in raw_keys(training.loss).items()}
    unknown = {name: term for name, term in raw.items() if keys[name] not in known}
    known |= {keys[name]: g for name, g in term_gradients(unknown, training.student, training.loss).items()}
    return {name: known[keys[name]] for name in raw}
