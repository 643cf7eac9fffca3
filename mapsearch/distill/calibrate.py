"""The scales of all losses of a cohort, frozen in one pass over the first batches."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack

import torch
from torch import Tensor

from mapsearch.core.records import RunResult
from mapsearch.core.spec import TrainSpec
from mapsearch.distill.member import Member, failed
from mapsearch.distill.station import Station
from mapsearch.distill.teacher import Lesson, lessons
from mapsearch.features.taps import FeatureTaps
from mapsearch.tasks.batches import step_seed
from mapsearch.tasks.loading import Bench, seed_everything
from mapsearch.tasks.precision import forward_precision

CALIBRATION_BATCHES = 4


def calibrate(
    bench: Bench, train: TrainSpec, members: list[Member], station: Station, stack: ExitStack
) -> Iterator[RunResult]:
    """Calibrate all losses in one pass and set the taps; yield results of members that cannot go on.

    When the pass fails each member is calibrated alone, so that only those end whose fault it is.
    """
    paired = [member for member in members if member.loss.feature_terms]
    n = min(CALIBRATION_BATCHES, members[0].plan.n_steps)
    batches = [*lessons(bench, train, [m.plan for m in paired], station.cache, n)] if paired else []
    groups, copied = [paired], dict[int, tuple[str, ...]]()
    while groups:
        group = groups.pop()
        try:
            copied |= dict.fromkeys(map(id, group), _freeze_scales(bench, train, group, batches) if group else ())
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
    bench: Bench, train: TrainSpec, members: Sequence[Member], batches: Sequence[Sequence[Lesson]]
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
            for lesson in parts:
                with forward_precision(train.precision, bench.device):
                    bench.task.forward(student, lesson.batch)
                overwritten.update(raw.overwritten())
                raw.take()
                seen.append((taps.take(), lesson.features, lesson.mask))
        for member in members:
            member.loss.calibrate(seen)
    return tuple(overwritten)
