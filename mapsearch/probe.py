"""STEP: two networks and batches -> the similarity of their layers."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from mapsearch.core.errors import TaskError
from mapsearch.core.layers import Layer
from mapsearch.core.similarity import Similarity
from mapsearch.core.spec import StudySpec
from mapsearch.features.layers import choose_layers, list_layers
from mapsearch.features.rows import rows
from mapsearch.features.taps import FeatureTaps
from mapsearch.measures.cka import CkaSums
from mapsearch.tasks.batches import ordered_batches
from mapsearch.tasks.loading import Bench
from mapsearch.tasks.task import batch_size

Forward = Callable[[nn.Module, Any], Any]

LEAST_SAMPLES = 64
ROWS = "one row per sample: maps flattened, tokens averaged over real positions"


def compare(
    teacher: nn.Module,
    student: nn.Module,
    batches: Iterable[Any],
    *,
    teacher_layers: str | Sequence[str] = "auto",
    student_layers: str | Sequence[str] = "auto",
    forward: Forward = lambda model, batch: model(batch),
    mask: Callable[[Any], Tensor | None] = lambda batch: None,
    seed: int = 0,
) -> Similarity:
    """Measure how alike the layers of two networks are on the same batches, in one pass over both.

    Args:
        batches: what `forward(model, batch)` takes; both networks see each batch once.
        teacher_layers: `auto` (the repeated blocks of the trunk), or names and globs.
        mask: real positions `[B, L]` of a token batch; None when all are.

    Raises:
        LayerNotFound: a name matches no usable layer.
        TaskError: fewer than 64 samples.

    Example:
        similarity = mapsearch.compare(teacher, student, [x[:256], x[256:512]])
    """
    stream = iter(batches)
    first = next(stream, None)
    if first is None:
        raise TaskError(f"similarity: at least {LEAST_SAMPLES} samples must be given, but got no batch")
    t_layers, s_layers = (
        choose_layers(name, model, list_layers(model, lambda m: forward(m, first), batch_size(first)), wanted)
        for name, model, wanted in (("teacher", teacher, teacher_layers), ("student", student, student_layers))
    )
    return measure(teacher, student, _chain(first, stream), t_layers, s_layers, forward, mask, seed)


@torch.no_grad()
def measure(
    teacher: nn.Module,
    student: nn.Module,
    batches: Iterable[Any],
    teacher_layers: Sequence[Layer],
    student_layers: Sequence[Layer],
    forward: Forward,
    mask: Callable[[Any], Tensor | None],
    seed: int = 0,
) -> Similarity:
    """`compare` between layers that are already known.

    Raises:
        TaskError: fewer than 64 samples.
    """
    sums = CkaSums(len(student_layers), len(teacher_layers), seed=seed)
    modes = teacher.training, student.training
    teacher.eval(), student.eval()
    try:
        for batch in batches:
            t_rows, s_rows = (
                _rows(model, layers, forward, batch, mask(batch))
                for model, layers in ((teacher, teacher_layers), (student, student_layers))
            )
            sums.add(s_rows, t_rows)
    finally:
        teacher.train(modes[0]), student.train(modes[1])
    if sums.n_samples < LEAST_SAMPLES:
        raise TaskError(f"similarity: at least {LEAST_SAMPLES} samples must be given, but got {sums.n_samples}")
    values = tuple(tuple(row) for row in sums.values().tolist())
    s_paths, t_paths = (tuple(layer.path for layer in layers) for layers in (student_layers, teacher_layers))
    return Similarity(s_paths, t_paths, values, sums.noise_floor(), "cka", sums.n_samples, ROWS, sums.spread_floor())


def compare_bench(bench: Bench, spec: StudySpec, student: Sequence[Layer], teacher: Sequence[Layer]) -> Similarity:
    """The similarity of a study's layers over its training samples, with a student fresh under the study's seed."""
    # shuffled: in data sorted by class a batch would hold one class, and hide what tells classes apart
    batches = ordered_batches(bench, bench.train, max(64, spec.train.batch_size), spec.similarity.samples, spec.seed)
    model = bench.new_student(spec.seed)
    return measure(bench.teacher, model, batches, teacher, student, bench.task.forward, bench.task.mask, spec.seed)


def _rows(model: nn.Module, layers: Sequence[Layer], forward: Forward, batch: Any, mask: Tensor | None) -> list[Tensor]:
    """Each layer's feature of one batch, a row per sample; taps last one pass, for the two networks may be one."""
    paths = [layer.path for layer in layers]
    with FeatureTaps(model, paths, copied=paths) as taps:  # a layer may be overwritten in place right afterwards
        forward(model, batch)
        features = taps.take()
    return [rows(features[layer.path], layer.kind, mask) for layer in layers]


def _chain(first: Any, rest: Iterable[Any]) -> Iterable[Any]:
    yield first
    yield from rest
