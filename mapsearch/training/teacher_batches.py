"""Batches with what the teacher says of them: read once and taught once for a whole cohort."""

from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mapsearch.core.runs import RunPlan
from mapsearch.core.spec import TrainSpec
from mapsearch.features.cache import FeatureCache
from mapsearch.features.taps import FeatureTaps
from mapsearch.tasks.batches import collated, step_seed, train_order
from mapsearch.tasks.contents import row_digests
from mapsearch.tasks.loading import LoadedTask, seed_everything
from mapsearch.tasks.outputs import matched_outputs
from mapsearch.tasks.precision import forward_precision
from mapsearch.tasks.task import to_device

LOGITS = ""
"""The cache's name for the teacher's logits: the path of the whole network."""


@dataclass(frozen=True)
class TeacherBatch:
    """A batch, or a part of one, on the device with what the teacher gave for it. `share` is its part of the batch."""

    batch: Any
    share: float
    logits: Tensor | None
    features: dict[str, Tensor]
    mask: Tensor | None


def teacher_batches(
    loaded: LoadedTask, train: TrainSpec, plans: Sequence[RunPlan], cache: FeatureCache | None, n_steps: int
) -> Generator[tuple[TeacherBatch, ...], None, None]:
    """The first `n_steps` batches of these plans, each in as many parts as they ask for.

    The teacher runs once per batch, over just the layers that some plan needs, and not at all for samples
    whose features are all in the cache. The numbers are those of a pass in that batch to rounding.
    """
    seed, n_parts = plans[0].seed, plans[0].n_parts
    with ExitStack() as stack:
        teach = _open_teacher(loaded, train, plans, cache, stack)
        for step, chosen in enumerate(train_order(len(loaded.train), train.batch_size, seed, n_steps)):
            seed_everything(step_seed(seed, step))
            n = len(chosen)
            parts = [chosen[i * n // n_parts : (i + 1) * n // n_parts] for i in range(n_parts)]
            yield tuple(teach(part, len(part) / n) for part in parts)


def _open_teacher(
    loaded: LoadedTask, train: TrainSpec, plans: Sequence[RunPlan], cache: FeatureCache | None, stack: ExitStack
) -> Callable[[Sequence[int], float], TeacherBatch]:
    """A function (sample ids, share of the batch) -> teacher_batch."""
    paths = sorted({path for plan in plans for path in plan.recipe.mapping.teacher_layers})
    names = [LOGITS] * any(plan.recipe.uses_logits for plan in plans) + paths
    taps = stack.enter_context(FeatureTaps(loaded.teacher, paths, copied=paths))

    def run(batch: Any) -> dict[str, Tensor]:
        with torch.no_grad(), forward_precision(train.precision, loaded.device):
            output = loaded.task.forward(loaded.teacher, batch)
            said = {LOGITS: matched_outputs(loaded.task, output)} if LOGITS in names else {}
        return said | taps.take()

    def teach(chosen: Sequence[int], share: float) -> TeacherBatch:
        batch = collated(loaded, loaded.train, chosen)
        digests = row_digests(batch) if cache and names else None
        batch = to_device(batch, loaded.device)
        said = _recall(cache, names, chosen, digests, lambda: run(batch)) if names else {}
        return TeacherBatch(
            batch, share, said.get(LOGITS), {path: said[path] for path in paths}, loaded.task.mask(batch)
        )

    return teach


def _recall(
    cache: FeatureCache | None, names: list[str], chosen: Sequence[int], digests: Tensor | None,
    run: Callable[[], dict[str, Tensor]],
) -> dict[str, Tensor]:  # fmt: skip
    """What the cache holds for these samples; else what `run` gives, kept for the next time."""
    if cache is None or digests is None or cache.refused.keys() & set(names):
        return run()
    ids = torch.tensor(chosen)
    said = cache.get(names, ids, digests)
    if said is None:
        cache.put(said := run(), ids, digests)
    return said
