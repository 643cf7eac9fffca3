"""One pass over the batches: both networks see each batch once, and nothing of it is kept."""

import hashlib
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn

from mapsearch.core.errors import TaskError
from mapsearch.core.layers import Layer
from mapsearch.core.similarity import ENOUGH_SAMPLES, MIN_SAMPLES, Block, Similarity
from mapsearch.core.similarity_spec import SimilaritySpec
from mapsearch.features.rows import RowRule, width
from mapsearch.features.taps import version
from mapsearch.measures.budget import cheaper_than_blocks
from mapsearch.measures.estimate import NotFinite
from mapsearch.measures.table import Sums, open_sums
from mapsearch.similarity.joining import LEAST_BLOCK, in_blocks
from mapsearch.similarity.reader import BatchView, FeatureReader, Forward
from mapsearch.tasks.masks import Masks
from mapsearch.tasks.nested import batch_size, tensors_of

Mask = Callable[[Any], Masks]

MIN_SAMPLES_TO_STOP = 512
"""Fewer samples than these are never enough to stop early: their standard errors are rough themselves."""
OUTLIER_SAMPLE_STRIDE = 8
"""After the first batch, outlier tokens are looked for in every so many-th sample."""
CPU_BLOCK, GPU_BLOCK = 64, 256
"""On a CPU small blocks halve the work at an error below the samples' own; on a GPU the work is next to nothing."""
MAX_PASSES_PER_BATCH = 4
"""A batch is shown again where a layer turns out to need centring first; at worst they are found one by one."""


@torch.no_grad()  # no inference mode: tensors that a network caches in it could not be trained with afterwards
def measure_layers(
    teacher: nn.Module,
    student: nn.Module,
    batches: Iterable[Any],
    teacher_layers: Sequence[Layer],
    student_layers: Sequence[Layer],
    forward: Forward,
    mask: Mask,
    options: SimilaritySpec,
    seed: int = 0,
) -> Similarity:
    """`compare` between layers that are already known.

    Raises:
        TaskError: as `compare`.
    """
    rule = RowRule(options.maps, options.tokens, options.outliers)
    networks = (student, student_layers), (teacher, teacher_layers)
    sums = open_sums(
        options.measure,
        len(student_layers),
        len(teacher_layers),
        estimator=options.estimator,
        block=_block(options, rule, student, student_layers, teacher_layers),
        seed=seed,
    )
    with ExitStack() as stack:
        readers = [
            stack.enter_context(FeatureReader(i, *network, forward, sums, rule)) for i, network in enumerate(networks)
        ]
        digest, n_seen = _count(batches, mask, readers, sums, rule, options, seed)
    n_samples = n_seen if rule.tokens == "samples" else sums.n_rows
    if n_samples < MIN_SAMPLES:
        raise TaskError(
            f"similarity: at least {MIN_SAMPLES} samples in batches of {LEAST_BLOCK} or more are needed, but got "
            f"{n_samples} of {n_seen}; smaller batches are joined where their samples have one shape"
        )
    found = sums.estimate()
    return Similarity(
        tuple(layer.path for layer in student_layers),
        tuple(layer.path for layer in teacher_layers),
        values=_nested(found.values),
        noise_floor=found.noise_floor,
        measure=options.measure,
        n_samples=n_samples,
        features=rule.words({layer.kind for layer in (*student_layers, *teacher_layers)}),
        spread_floor=found.spread_floor,
        standard_errors=None if found.standard_errors is None else _nested(found.standard_errors),
        estimator=found.estimator,
        digest=digest,
        notes=(*(note for reader in readers for note in reader.notes()), *_notes_of_few(n_samples)),
    )


def _notes_of_few(n_samples: int) -> tuple[str, ...]:
    if n_samples >= ENOUGH_SAMPLES:
        return ()
    return (f"{n_samples} samples tell layers apart by chance: only differences well above the noise floor count",)


def _count(
    batches: Iterable[Any],
    mask: Mask,
    readers: Sequence[FeatureReader],
    sums: Sums,
    rule: RowRule,
    options: SimilaritySpec,
    seed: int,
) -> tuple[str, int]:
    """Show every batch to both networks; (digest of the samples, their number)."""
    student, teacher = readers
    digest, n_seen, random = hashlib.sha256(), 0, torch.Generator().manual_seed(seed)
    for batch in in_blocks(batches):
        n = min(batch_size(batch), (options.samples or sys.maxsize) - n_seen)
        view = BatchView(rule, mask(batch), n, OUTLIER_SAMPLE_STRIDE if n_seen else 1, random)
        digest.update(_digest(batch))
        versions = [version(tensor) for tensor in tensors_of(batch)]
        for _ in range(MAX_PASSES_PER_BATCH):
            teacher_features = teacher.read(batch, view)
            if [version(tensor) for tensor in tensors_of(batch)] != versions:
                raise TaskError("similarity: the teacher's forward pass changes its input; hand it a copy in `forward`")
            try:
                if sums.add(student.read(batch, view), teacher_features):
                    break
            except NotFinite as error:
                raise TaskError(readers[error.network].not_finite(error.layer)) from None
        n_seen += n
        if n_seen == options.samples or _is_sure(sums, n_seen, options.tolerance):
            break
    return digest.hexdigest()[:12], n_seen


def _is_sure(sums: Sums, n_seen: int, tolerance: float | None) -> bool:
    if tolerance is None or n_seen < MIN_SAMPLES_TO_STOP:
        return False
    errors = sums.estimate().standard_errors
    return errors is not None and 1.96 * float(errors.max()) <= tolerance


def _block(
    options: SimilaritySpec, rule: RowRule, student: nn.Module, s_layers: Sequence[Layer], t_layers: Sequence[Layer]
) -> Block:
    """How many samples are compared at once: all when features are so narrow that it costs no more than blocks."""
    if options.block != "auto" or options.measure != "cka":
        return options.block
    s_widths, t_widths = ([width(layer, rule) for layer in layers] for layers in (s_layers, t_layers))
    if cheaper_than_blocks(s_widths, t_widths, CPU_BLOCK):
        return "all"
    on_gpu = any(parameter.is_cuda for parameter in student.parameters())
    return GPU_BLOCK if on_gpu else CPU_BLOCK


def _digest(batch: Any) -> bytes:
    """What the samples are and in which order: SHA-256 over every tensor of the batch."""
    digest = hashlib.sha256()
    for tensor in tensors_of(batch):
        digest.update(f"{tensor.dtype} {list(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.digest()


def _nested(matrix: Tensor) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(row) for row in matrix.tolist())
