"""Batches with the teacher's outputs for them: collated once and shown to the teacher once for a whole cohort."""

from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mapsearch.core.recipe import Recipe
from mapsearch.core.runs import RunPlan
from mapsearch.core.train_spec import TrainSpec
from mapsearch.features.taps import FeatureTaps
from mapsearch.losses.sides import TeacherFeatures
from mapsearch.tasks.loaded_task import LoadedTask
from mapsearch.tasks.loading_ahead import Drawn
from mapsearch.tasks.masks import Masks
from mapsearch.tasks.nested import to_device
from mapsearch.tasks.outputs import matched_outputs
from mapsearch.tasks.precision import forward_in
from mapsearch.tasks.seeding import seed_everything, step_seed
from mapsearch.tasks.training_batches import WHOLE, Place, drawn_batches
from mapsearch.training.teacher_cache import TeacherCache

OUTPUTS = ""
"""The name of the teacher's outputs among its features: the path of the whole network."""

TeacherPass = Callable[[Any], dict[str, Tensor]]
"""A batch on the device -> the teacher's outputs and features of it, by name."""


@dataclass(frozen=True)
class TeacherBatch:
    """A batch, or a part of one, on the device with the teacher's outputs. `share` is its part of the batch."""

    batch: Any
    share: float
    outputs: Tensor | None
    features: dict[str, Tensor]
    mask: Masks


def teacher_batches(
    loaded: LoadedTask,
    train: TrainSpec,
    plans: Sequence[RunPlan],
    cache: TeacherCache | None,
    n_steps: int,
    place: Place = WHOLE,
) -> Generator[tuple[TeacherBatch, ...], None, None]:
    """What these plans' first `n_steps` steps train on: `accumulate` batches, each in as many parts as they ask for.

    The teacher runs once per batch, over just the layers that some plan needs, and not at all for samples
    whose features are all in the cache. The numbers are those of a pass in that batch to rounding.

    Args:
        place: what of them this process is to work on.
    """
    seed, n_parts = plans[0].seed, plans[0].n_parts
    names = teacher_names(plan.recipe for plan in plans)
    with ExitStack() as stack:
        run = open_teacher(loaded, train, names, stack)
        drawn = drawn_batches(loaded, train.batch_size, seed, n_steps, n_parts, train.accumulate, place)
        for step, parts in enumerate(drawn, place.start):
            seed_everything(step_seed(seed, step))  # whatever process drew the batch
            n = sum(part.n for part in parts)
            yield tuple(_part(loaded, run, names, cache, part, part.n / n) for part in parts)


def teacher_names(recipes: Iterable[Recipe]) -> tuple[str, ...]:
    """What some recipe needs of the teacher: `OUTPUTS`, then layers."""
    wanted = [*recipes]
    layers = sorted({path for recipe in wanted for path in recipe.mapping.teacher_layers})
    return (OUTPUTS, *layers) if any(recipe.uses_outputs for recipe in wanted) else tuple(layers)


def open_teacher(loaded: LoadedTask, train: TrainSpec, names: Sequence[str], stack: ExitStack) -> TeacherPass:
    """The teacher with its features of these names captured until the stack closes."""
    paths = [name for name in names if name != OUTPUTS]
    taps = stack.enter_context(FeatureTaps(loaded.teacher, paths, copied=paths))
    forward = forward_in(train.precision, loaded)

    def run(batch: Any) -> dict[str, Tensor]:
        taps.forget()
        with torch.no_grad():
            output = forward(loaded.teacher, batch)
        outputs = matched_outputs(loaded.task, output) if OUTPUTS in names else None
        return ({} if outputs is None else {OUTPUTS: outputs}) | taps.take()

    return run


def teacher_batch(loaded: LoadedTask, batch: Any, outputs: dict[str, Tensor], share: float = 1.0) -> TeacherBatch:
    """A batch on the device with the teacher's outputs for it."""
    features = {name: feature for name, feature in outputs.items() if name != OUTPUTS}
    if loaded.device.type == "cpu":  # on a GPU students have streams of their own, and recorded steps their memory
        features = TeacherFeatures(features)
    return TeacherBatch(batch, share, outputs.get(OUTPUTS), features, loaded.task.mask(batch))


def _part(
    loaded: LoadedTask, run: TeacherPass, names: Sequence[str], cache: TeacherCache | None, part: Drawn, share: float
) -> TeacherBatch:  # fmt: skip
    batch = to_device(part.batch, loaded.device)
    if not names:
        return teacher_batch(loaded, batch, {}, share)
    outputs = run(batch) if cache is None else cache.outputs(names, part, lambda: run(batch))
    return teacher_batch(loaded, batch, outputs, share)
