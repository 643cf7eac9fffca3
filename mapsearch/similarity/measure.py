"""STEP: two networks and batches -> the similarity of their layers, in one pass over both."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

from torch import nn

from mapsearch.core.errors import TaskError
from mapsearch.core.layers import Layer
from mapsearch.core.similarity import ENOUGH_SAMPLES, MIN_SAMPLES, Block, EstimatorName, MeasureName, Similarity
from mapsearch.core.similarity_spec import SimilaritySpec
from mapsearch.core.study_file import parse_section
from mapsearch.core.train_spec import TrainSpec
from mapsearch.features.layers import choose_layers, list_layers
from mapsearch.features.rows import MapRows, Outliers, TokenRows
from mapsearch.similarity.reader import Forward, moved_to
from mapsearch.similarity.streaming import Mask, measure_layers
from mapsearch.tasks.batches import ordered_batches
from mapsearch.tasks.loaded_task import LoadedTask
from mapsearch.tasks.masks import mask_of
from mapsearch.tasks.nested import batch_size, first_samples
from mapsearch.tasks.precision import forward_in
from mapsearch.tasks.task import forward_batch

N_LISTING_SAMPLES = 8
"""Samples that show which layers there are."""


def compare(
    teacher: nn.Module,
    student: nn.Module,
    batches: Iterable[Any],
    *,
    teacher_layers: str | Sequence[str] = "auto",
    student_layers: str | Sequence[str] = "auto",
    forward: Forward = forward_batch,
    mask: Mask = mask_of,
    measure: MeasureName = "cka",
    estimator: EstimatorName = "debiased",
    samples: int | None = None,
    tolerance: float | None = None,
    block: Block = "auto",
    maps: MapRows = "flatten",
    tokens: TokenRows = "mean",
    outliers: Outliers = "clip",
    seed: int = 0,
) -> Similarity:
    """Measure how alike the layers of two networks are on the same batches, in one pass over both.

    Nothing is kept of a batch but one Gram matrix per layer and block, so that the memory needed does
    not grow with the samples. Both networks are run in eval mode, and left as they were.

    Args:
        batches: what `forward(model, batch)` takes; both networks see each batch once, moved to the device
            of their weights. Tensors, tuples whose first item is the input, and dicts of keyword
            arguments work as they are.
        teacher_layers: `auto` (the repeated blocks of the trunk), or names and globs.
        mask: real positions `[B, L]` of a token batch, or None; by default a dict's `attention_mask`.
        measure: `cka`, `rbf_cka`, `distance_correlation`, `rsa`, `mutual_knn`, `procrustes` or `svcca`.
        samples: most samples looked at; None takes all.
        tolerance: stop once every value is known to +- this (95 %); None looks at all samples.
        block: samples compared with each other at once; `all` compares every sample with every other.
        maps: how maps become rows, see `RowRule`.
        tokens: how tokens do.
        outliers: what becomes of tokens that are far larger than the others.

    Raises:
        LayerNotFound: a name matches no usable layer.
        SpecError: an option is out of its range, or two do not go together.
        TaskError: fewer than eight samples in batches of four or more, features that are not finite, or a
            network that changes its input.

    Example:
        similarity = mapsearch.compare(teacher, student, [x[:256], x[256:512]])
    """
    options = parse_section(
        SimilaritySpec,
        {
            "measure": measure, "estimator": estimator, "samples": samples, "tolerance": tolerance,
            "block": block, "maps": maps, "tokens": tokens, "outliers": outliers,
        },
    )  # fmt: skip
    stream = iter(batches)
    first = next(stream, None)
    if first is None:
        raise TaskError(f"similarity: at least {MIN_SAMPLES} samples are needed, but got no batch")
    t_layers = _layers("teacher", teacher, teacher_layers, first, forward)
    s_layers = _layers("student", student, student_layers, first, forward)
    return measure_layers(teacher, student, chain([first], stream), t_layers, s_layers, forward, mask, options, seed)


def _layers(
    name: str, model: nn.Module, wanted: str | Sequence[str], batch: Any, forward: Forward
) -> tuple[Layer, ...]:
    # a user's own `forward` may know the batch, which is not cut then
    few = first_samples(batch, N_LISTING_SAMPLES) if forward is forward_batch else batch
    listed = list_layers(model, lambda m: forward(m, moved_to(m, few)), batch_size(few))
    return choose_layers(name, model, listed, wanted)


def measure_similarity(
    loaded: LoadedTask,
    train: TrainSpec,
    options: SimilaritySpec,
    student: Sequence[Layer],
    teacher: Sequence[Layer],
    seed: int,
) -> Similarity:
    """The similarity of a study's layers over its training samples, with a student fresh under the study's seed."""
    # shuffled: in data sorted by class a batch would hold one class, and hide what tells classes apart
    batches = ordered_batches(loaded, loaded.train, max(ENOUGH_SAMPLES, train.batch_size), options.samples, seed)
    model, forward = loaded.new_student(seed), forward_in(train.precision, loaded)
    similarity = measure_layers(
        loaded.teacher, model, batches, teacher, student, forward, loaded.task.mask, options, seed
    )
    return replace(similarity, notes=(*similarity.notes, "the student is untrained"))
