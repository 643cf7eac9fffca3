"""The scales of all losses of a cohort, frozen over the first batches, of which nothing is kept."""

from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass

import torch

from mapsearch.core.runs import RunKey, RunResult
from mapsearch.core.train_spec import TrainSpec
from mapsearch.features.taps import FeatureTaps
from mapsearch.tasks.loaded_task import LoadedTask
from mapsearch.tasks.precision import forward_in
from mapsearch.tasks.seeding import seed_everything, step_seed
from mapsearch.training.gradient_shares import share_gradients
from mapsearch.training.student import StudentTraining, failed
from mapsearch.training.teacher_batches import TeacherBatch, teacher_batches
from mapsearch.training.teacher_cache import TeacherCache

N_CALIBRATION_BATCHES = 4


def calibrate(
    loaded: LoadedTask, train: TrainSpec, cohort: list[StudentTraining], cache: TeacherCache | None, stack: ExitStack
) -> Iterator[RunResult]:
    """Calibrate all losses together and capture the students' features; yield results of runs that cannot go on.

    When that fails each student is calibrated alone, so that only those end whose fault it is.
    """
    paired = [training for training in cohort if training.loss.feature_terms]
    groups, source = [paired] if paired else [], _Source(loaded, train, cache)
    overwritten: dict[RunKey, tuple[str, ...]] = {}
    while groups:
        group = groups.pop()
        try:
            layers = _calibrate_together(source, group)
            overwritten |= {training.plan.key: layers for training in group}
        except Exception as error:
            if source.is_broken:
                raise
            if len(group) == 1:
                cohort.remove(group[0])
                yield failed(error, group[0].result("crashed"))
            else:
                groups = [[training] for training in group]
    for training in tuple(cohort):
        training.hook(stack, overwritten.get(training.plan.key, ()))
        if training.plan.recipe.share_of == "gradient" and training.loss.feature_terms:
            try:
                share_gradients(loaded, train, training, source.batches([training]))
            except Exception as error:
                if source.is_broken:
                    raise
                cohort.remove(training)
                yield failed(error, training.result("crashed"))


@dataclass
class _Source:
    """Where the batches come from; `is_broken` when an error is that of the data or the teacher, not of a student."""

    loaded: LoadedTask
    train: TrainSpec
    cache: TeacherCache | None
    is_broken: bool = False

    def batches(self, group: Sequence[StudentTraining]) -> Generator[tuple[TeacherBatch, ...], None, None]:
        plans = [training.plan for training in group]
        n_batches = min(N_CALIBRATION_BATCHES, plans[0].n_steps)
        self.is_broken = True
        for parts in teacher_batches(self.loaded, self.train, plans, self.cache, n_batches):
            self.is_broken = False
            yield parts
            self.is_broken = True
        self.is_broken = False


def _calibrate_together(source: _Source, group: Sequence[StudentTraining]) -> tuple[str, ...]:
    """Freeze norms, then scales, which depend on them; the student layers that are overwritten in place come out."""
    mixing = [training for training in group if len(training.loss.mixtures)]
    if mixing:
        with closing(source.batches(mixing)) as batches:
            _freeze_norms(mixing, batches)
    with closing(source.batches(group)) as batches:
        return _freeze_scales(source.loaded, source.train, group, batches)


def _freeze_norms(mixing: Sequence[StudentTraining], batches: Iterator[tuple[TeacherBatch, ...]]) -> None:
    measured = [
        [training.loss.teacher_variances(part.features, part.mask) for training in mixing]
        for parts in batches
        for part in parts
    ]
    for training, variances in zip(mixing, zip(*measured, strict=True), strict=True):
        training.loss.freeze_norms(variances)


@torch.no_grad()
def _freeze_scales(
    loaded: LoadedTask,
    train: TrainSpec,
    group: Sequence[StudentTraining],
    batches: Iterator[tuple[TeacherBatch, ...]],
) -> tuple[str, ...]:
    """Freeze the scales of losses that start from one student; layers overwritten in place come out.

    The first one's student shows all of them its features, and stays as it was.
    """
    student, paths = group[0].student, {p for t in group for p in t.plan.recipe.mapping.student_layers}
    before = {name: value.clone() for name, value in student.state_dict().items()}
    forward, losses = forward_in(train.precision, loaded), []
    overwritten: set[str] = set()
    with ExitStack() as stack:
        stack.callback(student.load_state_dict, before)  # the running statistics of batch norm move
        raw = stack.enter_context(FeatureTaps(student, paths))
        taps = stack.enter_context(FeatureTaps(student, paths, copied=paths))
        for step, parts in enumerate(batches):
            seed_everything(step_seed(group[0].plan.seed, step))
            for part in parts:
                forward(student, part.batch)
                overwritten.update(raw.overwritten())
                raw.take()
                features = taps.take()
                losses.append([t.loss.starting_losses(features, part.features, part.mask) for t in group])
    for training, of_batches in zip(group, zip(*losses, strict=True), strict=True):
        training.loss.freeze_scales(of_batches)
    return tuple(overwritten)
