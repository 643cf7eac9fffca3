"""One look at every sample: what it shows to the networks, values that are not finite, labels that are not classes."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from mapsearch.core.spec import StudySpec
from mapsearch.tasks.batches import collated, samples_at
from mapsearch.tasks.default_losses import UNLABELLED
from mapsearch.tasks.labels import is_classes, labels_of, outside_classes
from mapsearch.tasks.loaded_task import LoadedTask
from mapsearch.tasks.nested import to_device
from mapsearch.tasks.outputs import matched_outputs
from mapsearch.tasks.overlap import input_digest
from mapsearch.tasks.precision import forward_in

MAX_SAMPLES_READ = 20_000
"""Samples of a data set that are looked at, spread over all of it: one that is generated as it is read has no end."""

SAMPLES_PER_READ = 64


@dataclass(frozen=True)
class ClassScores:
    """The teacher's class scores `[B, ..., C]`: how many axes, and the classes on the last one."""

    n_axes: int
    n_classes: int


@dataclass
class SamplesRead:
    """What was seen of a data set. `faults` holds, by code, (index of the sample, what is wrong with it)."""

    n_read: int = 0
    digests: list[bytes] = field(default_factory=list)
    n_labels: int = 0
    n_unlabelled: int = 0
    faults: dict[str, list[tuple[int, str]]] = field(default_factory=dict)


@torch.no_grad()
def class_scores(loaded: LoadedTask, spec: StudySpec) -> ClassScores | None:
    """What the teacher's outputs are, seen on a few samples.

    None where there are none, which other checks report, or as many as the batch has samples.
    """
    if loaded.task.output_form.kind != "classes":
        return None
    forward = forward_in(spec.train.precision, loaded)
    shapes: list[torch.Size] = []
    try:
        for n in (2, 3):
            batch = to_device(collated(loaded, loaded.train, range(n)), loaded.device)
            outputs = matched_outputs(loaded.task, forward(loaded.teacher, batch))
            assert outputs is not None, "asked for classes only"
            shapes.append(outputs.shape)
    except (Exception, SystemExit):
        return None
    few, more = shapes
    return ClassScores(len(few), few[-1]) if few[-1] == more[-1] else None


def read_samples(loaded: LoadedTask, data: Any, scores: ClassScores | None) -> SamplesRead:
    """Look at each sample of a data set once, or at 20,000 spread over a larger one.

    Raises:
        TaskError: a sample cannot be read; the message names its index.
    """
    n = len(data)
    chosen = range(n) if n <= MAX_SAMPLES_READ else [i * n // MAX_SAMPLES_READ for i in range(MAX_SAMPLES_READ)]
    seen = SamplesRead(len(chosen))
    for start in range(0, len(chosen), SAMPLES_PER_READ):
        part = chosen[start : start + SAMPLES_PER_READ]
        samples = samples_at(loaded, data, part)
        seen.digests += [digest for digest in map(input_digest, samples) if digest is not None]
        batch = loaded.collate(data, samples)
        for code, rows, problem in (*_not_finite(batch), *_wrong_labels(seen, loaded, batch, scores)):
            seen.faults.setdefault(code, []).extend((i, problem) for i in _indices(rows, part))
    return seen


def _not_finite(batch: Any) -> Iterator[tuple[str, Tensor, str]]:
    for name, tensor in named_tensors(batch):
        if tensor.is_floating_point() and tensor.ndim:
            wrong = ~tensor.isfinite()
            if any(word in name for word in ("mask", "bias")):
                wrong &= tensor != -torch.inf  # an additive mask
            if wrong.any():
                yield "data.not_finite", wrong, f"{name} holds NaN or inf"


def _wrong_labels(
    seen: SamplesRead, loaded: LoadedTask, batch: Any, scores: ClassScores | None
) -> Iterator[tuple[str, Tensor, str]]:
    labels = labels_of(loaded.task, batch)
    if labels is None or not labels.ndim:
        return
    if loaded.task.output_form.kind == "labels":
        yield from _no_yes_or_no(labels)
        return
    if labels.is_floating_point():
        if scores is not None and not is_classes(labels, scores.n_axes, scores.n_classes):
            kind = f"has labels of {labels.dtype} and shape {list(labels.shape[1:])}"
            yield "data.float_labels", torch.ones(len(labels), dtype=torch.bool), kind
        return
    seen.n_labels += labels.numel()
    seen.n_unlabelled += int((labels == UNLABELLED).sum())
    outside = outside_classes(labels, scores.n_classes if scores else None)
    if outside.any():
        yield "data.label_range", outside, f"has label {int(labels[outside][0])}"


def _no_yes_or_no(labels: Tensor) -> Iterator[tuple[str, Tensor, str]]:
    outside = ((labels < 0) | (labels > 1)) & (labels != UNLABELLED)
    if outside.any():
        yield "data.label_range", outside, f"has label {float(labels[outside][0]):g}"


def _indices(wrong: Tensor, part: Sequence[int]) -> list[int]:
    """The samples whose rows hold something wrong; all of them where rows are not samples."""
    if len(wrong) != len(part):
        return list(part)
    rows = wrong.reshape(len(wrong), -1).any(1)
    return [part[row] for row in rows.nonzero().flatten().tolist()]


def named_tensors(value: Any, name: str = "") -> Iterator[tuple[str, Tensor]]:
    """The tensors of a batch with their place in it: `pixel_values`, `item 0`."""
    if isinstance(value, Tensor):
        yield (f"`{name}`" if name else "the batch"), value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from named_tensors(item, f"{name}.{key}" if name else str(key))
    elif isinstance(value, (tuple, list)):
        for i, item in enumerate(value):
            yield from named_tensors(item, f"{name}[{i}]" if name else f"item {i}")
