"""The scales of all losses of a cohort, frozen in one pass over the first batches."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack

import torch
from torch import Tensor

from mapsearch.core.runs import RunResult
from mapsearch.core.spec import TrainSpec
from mapsearch.distill.worker_state import WorkerState
from mapsearch.features.taps import FeatureTaps
from mapsearch.tasks.batches import step_seed
from mapsearch.tasks.loading import LoadedTask, seed_everything
from mapsearch.tasks.precision import forward_precision
from mapsearch.training.student import Member, failed
from mapsearch.training.teacher_batches import TeacherBatch, teacher_batches

CALIBRATION_BATCHES = 4


def calibrate(
    loaded: LoadedTask, train: TrainSpec, members: list[Member], worker_state: WorkerState, stack: ExitStack
) -> Iterator[RunResult]:
    """Calibrate all losses in one pass and set the taps; yield results of members that cannot go on.

    When the pass fails each member is calibrated alone, so that only those end whose fault it is.
    """
    paired = [member for member in members if member.loss.feature_terms]
    n = min(CALIBRATION_BATCHES, members[0].plan.n_steps)
    batches = [*teacher_batches(loaded, train, [m.plan for m in paired], worker_state.cache, n)] if paired else []
    groups, copied = [paired], dict[int, tuple[str, ...]]()
    while groups:
        group = groups.pop()
        try:
            copied |= dict.fromkeys(map(id, group), _freeze_scales(loaded, train, group, batches) if group else ())
        except Exception as error:
            if len(group) == 1:
                members.remove(group[0])
                yield failed(error, group[0].result("crashed"))
            else:
                groups = [[member] for member in group]
    for member in members:
        paths = member.plan.recipe.mapping.student_layers
        member.taps = stack.enter_context(FeatureTaps(member.student, paths, copied.get(id(member), ())))


def _freeze_scales(
    loaded: LoadedTask, train: TrainSpec, members: Sequence[Member], batches: Sequence[Sequence[TeacherBatch]]
) -> tuple[str, ...]:
    """Freeze the loss scales of members that start from one student; layers overwritten in place come out.

    The first member's student shows all of them its features, and stays as it was.
    """
    student, paths = members[0].student, {p for m in members for p in m.plan.recipe.mapping.student_layers}
    before = {name: value.clone() for name, value in student.state_dict().items()}
    seen: list[tuple[dict[str, Tensor], dict[str, Tensor], Tensor | None]] = []
    overwritten: set[str] = set()
    with ExitStack() as stack:
        stack.callback(student.load_state_dict, before)  # the running statistics of batch norm move
        raw = stack.enter_context(FeatureTaps(student, paths))
        taps = stack.enter_context(FeatureTaps(student, paths, copied=paths))
        stack.enter_context(torch.no_grad())
        for step, parts in enumerate(batches):
            seed_everything(step_seed(members[0].plan.seed, step))
            for teacher_batch in parts:
                with forward_precision(train.precision, loaded.device):
                    loaded.task.forward(student, teacher_batch.batch)
                overwritten.update(raw.overwritten())
                raw.take()
                seen.append((taps.take(), teacher_batch.features, teacher_batch.mask))
        for member in members:
            member.loss.calibrate(seen)
    return tuple(overwritten)
