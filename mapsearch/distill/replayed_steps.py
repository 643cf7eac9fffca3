"""The steps of a cohort, each student's work on the device recorded once and replayed from then on.

Small students are bound by the launching of kernels, which a replay does without. A step is recorded where it depends
on nothing but its inputs, as far as one step that is watched can show.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from mapsearch.core.runs import RunKey, RunPlan, RunResult
from mapsearch.core.train_spec import TrainSpec
from mapsearch.distill.worker_state import WorkerState
from mapsearch.tasks.loaded_task import LoadedTask
from mapsearch.tasks.nested import copied, form, tensors_of
from mapsearch.tasks.seeding import host_generators
from mapsearch.tasks.user_code import describe
from mapsearch.training.optimizer import rates_to_device
from mapsearch.training.recorder import Recorder, Run
from mapsearch.training.step import descend, finish_step, prepare_step
from mapsearch.training.student import StudentTraining
from mapsearch.training.teacher_batches import TeacherBatch

WATCHED_STEP = 1
"""Step 0 looks at single terms, step 1 is watched, and from step 2 on steps are recorded and replayed."""


@dataclass(frozen=True)
class Recorded:
    """A student's step, done by each call of `replay`. `fade` is read from the device, `is_over` was recorded."""

    replay: Run
    fade: Tensor
    is_over: bool


class ReplayedSteps:
    """The steps of the students of one cohort on a device that can record them."""

    def __init__(
        self, loaded: LoadedTask, train: TrainSpec, plans: Sequence[RunPlan], worker_state: WorkerState,
        recorder: Recorder,
    ) -> None:  # fmt: skip
        self._loaded, self._train, self._worker_state, self._recorder = loaded, train, worker_state, recorder
        self._lanes = {plan.key: number for number, plan in enumerate(plans)}
        self._inputs: tuple[TeacherBatch, ...] = ()
        self._fits = True
        self._hindered: set[RunKey] = set()
        self._recorded: dict[RunKey, Recorded] = {}

    @contextmanager
    def on(self, parts: Sequence[TeacherBatch], step: int) -> Iterator[None]:
        """All students take this step within, on these inputs."""
        if step > WATCHED_STEP:
            self._hold(parts)
        yield
        self._recorder.join()

    def _hold(self, parts: Sequence[TeacherBatch]) -> None:
        """Copy the inputs to where recorded steps read them, if they have the form of the first ones."""
        if not self._inputs:
            self._inputs = tuple(_mapped(part, copied) for part in parts)
        else:
            self._fits = [_form(part) for part in parts] == [_form(part) for part in self._inputs]
            if self._fits:
                for mine, given in zip(_tensors(self._inputs), _tensors(parts), strict=True):
                    mine.copy_(given, non_blocking=True)

    def lane(self, training: StudentTraining) -> AbstractContextManager[None]:
        """Where the student's step takes place."""
        return self._recorder.lane(self._lanes[training.plan.key])

    def take(self, training: StudentTraining, parts: Sequence[TeacherBatch], step: int) -> RunResult | None:
        """`train_step`, replayed where that is possible."""
        prepare_step(self._train, training, step)
        row = self._row(training, parts, step)
        if isinstance(row, RunResult):
            return row
        finish_step(self._train, training, row, step)
        return None

    def _row(self, training: StudentTraining, parts: Sequence[TeacherBatch], step: int) -> Tensor | RunResult:
        plan, key = training.plan, training.plan.key
        if step == WATCHED_STEP:
            return self._watched(training, parts)
        if key in self._hindered or not self._fits:
            return self._ordinary(training, parts, step)
        progress = step / plan.n_steps
        recorded = self._recorded.get(key)
        if recorded is None or recorded.is_over != training.loss.is_over(progress):
            recorded = self._record(training, step)
        if recorded is None:
            prepare_step(self._train, training, step)  # the recording that failed has used up or reset what was seeded
            return self._ordinary(training, parts, step)
        recorded.fade.fill_(training.loss.fade(progress))
        return recorded.replay().clone()

    def _ordinary(self, training: StudentTraining, parts: Sequence[TeacherBatch], step: int) -> Tensor | RunResult:
        return descend(self._loaded, self._train, training, parts, step)

    def _watched(self, training: StudentTraining, parts: Sequence[TeacherBatch]) -> Tensor | RunResult:
        before = host_generators()
        with self._recorder.watched() as sight:
            row = self._ordinary(training, parts, WATCHED_STEP)
        if sight.drew:
            self._recorder.use_one_lane()
        if host_generators() != before:
            self._hinder(training, "it draws random numbers on the CPU")
        elif sight.waited:
            self._hinder(
                training, "it waits for the device, as by `.item()`, a mask as an index, or a tensor made from numbers"
            )
        return row

    def _record(self, training: StudentTraining, step: int) -> Recorded | None:
        rates_to_device(training.optimizer)
        loss, key = training.loss, training.plan.key
        fade = loss.scales.new_ones(())

        def run() -> Tensor:
            row = descend(self._loaded, self._train, training, self._inputs, step, fade)
            assert isinstance(row, Tensor), "only step 0 ends a run"
            return row

        try:
            replay = self._recorder.record(self._lanes[key], run)
            self._recorded[key] = Recorded(replay, fade, loss.is_over(step / training.plan.n_steps))
            return self._recorded[key]
        except Exception as error:
            why = describe(error)
        training.taps.drop()
        training.optimizer.zero_grad()
        self._recorded.clear()
        self._recorder.recover()
        self._hindered.update(self._lanes)
        self._worker_state.open_recorder = None  # what a failed recording leaves behind must not meet another one
        self._worker_state.tell_ordinary(f"recording failed: {why}")
        return None

    def _hinder(self, training: StudentTraining, why: str) -> None:
        self._hindered.add(training.plan.key)
        self._worker_state.tell_ordinary(why)


def _mapped(part: TeacherBatch, change: Callable[[Any], Any]) -> TeacherBatch:
    outputs, features, mask = change((part.outputs, part.features, part.mask))
    return replace(part, batch=change(part.batch), outputs=outputs, features=features, mask=mask)


def _tensors(parts: Sequence[TeacherBatch]) -> Iterator[Tensor]:
    return tensors_of([(part.batch, part.outputs, part.features, part.mask) for part in parts])


def _form(part: TeacherBatch) -> Any:
    return part.share, form((part.batch, part.outputs, part.features, part.mask))
