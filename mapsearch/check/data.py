"""Checks of the samples: overlap of the data sets, values, labels."""

from itertools import combinations
from typing import Any

from torch import Tensor

from mapsearch.check.finding_log import FindingLog
from mapsearch.check.samples import ClassScores, SamplesRead, class_scores, read_samples
from mapsearch.check.streams import check_stream
from mapsearch.core.findings import Level
from mapsearch.core.outputs import OutputKind
from mapsearch.core.similarity import ENOUGH_SAMPLES
from mapsearch.core.spec import StudySpec
from mapsearch.tasks.default_losses import UNLABELLED
from mapsearch.tasks.loaded_task import LoadedTask
from mapsearch.tasks.streams import Stream
from mapsearch.tasks.task import Task

MAX_OVERLAP_SHARE = 0.01
"""Share of a data set that may occur in another one before the study is refused."""


def check_data(log: FindingLog, loaded: LoadedTask, spec: StudySpec) -> None:
    """Sizes, samples that are in two data sets, values that are not finite, labels that are not classes."""
    n, size = len(loaded.train), spec.train.batch_size
    if size > n and not isinstance(loaded.train, Stream):
        problem = f"`train.batch_size: {size}` is more than the {n} training samples; every batch will hold all {n}"
        log.add("warning", "data.few_samples", problem)
    if n < ENOUGH_SAMPLES and spec.similarity.tokens != "samples":
        problem = f"{n} training samples tell layers apart by chance: their similarity, and the controls and proposals"
        log.add("warning", "data.few_samples_for_similarity", f"{problem} that are made from it, say little")
    for samples in (loaded.train, loaded.valid, loaded.test):
        for note in getattr(samples, "notes", ()):
            log.add("ok", "data.form", note)
    if loaded.weights is not None:
        log.add("ok", "data.weights", _weights(loaded.weights))
    if isinstance(loaded.train, Stream):
        with log.guard("data", "reading the stream of `train_data()`"):
            check_stream(log, loaded, loaded.train)
    scores = class_scores(loaded, spec) if "outputs" in log.measured else None
    with log.guard("data", "reading the samples"):
        data = {"train_data": loaded.train, "valid_data": loaded.valid, "test_data": loaded.test}
        seen = {name: read_samples(loaded, samples, scores) for name, samples in data.items()}
        log.add("ok", "data.sizes", ", ".join(_size(name, data[name], seen[name]) for name in data))
        for name in data:
            _report_faults(log, loaded, data[name], seen[name], scores)
        _check_overlap(log, {name: samples.digests for name, samples in seen.items()})
        _report_labels(log, seen["train_data"])


def _weights(weights: Tensor) -> str:
    n, n_never, largest = len(weights), int((weights == 0).sum()), float(weights.max() / weights.sum())
    never = f", {n_never:,} of them never" if n_never else ""
    drawn = f"{n:,} training samples are drawn with replacement, by their weights{never}"
    return f"{drawn}; the heaviest is {largest:.2g} of all draws"


def _size(name: str, data: Any, seen: SamplesRead) -> str:
    if isinstance(data, Stream) and data.is_longer:
        return f"{name} a stream (its first {seen.n_read:,} samples read)"
    every = "" if seen.n_read == len(data) else f" ({seen.n_read:,} of them read)"
    return f"{name} {len(data):,} samples{every}"


def _report_faults(
    log: FindingLog, loaded: LoadedTask, data: Any, seen: SamplesRead, scores: ClassScores | None
) -> None:
    for code, faults in seen.faults.items():
        if code == "data.float_labels" and any(finding.code == code for finding in log.findings):
            continue  # already reported for another data set
        index, problem = faults[0]
        n_wrong = len({i for i, _ in faults})
        count = f"{n_wrong} of {seen.n_read} samples read" if n_wrong > 1 else "the only one"
        level: Level = "warning" if code == "data.label_range" and not _uses_classes(loaded.task) else "error"
        rule = _rule(code, scores, loaded.task.output_form.kind)
        log.add(level, code, f"{loaded.sample_name(data, index)} {problem} ({count}); {rule}")


def _rule(code: str, scores: ClassScores | None, kind: OutputKind) -> str:
    if code == "data.not_finite":
        return "repair or remove it"
    if code == "data.label_range" and kind == "labels":
        return f"a label must be 0, 1 or a share between them, or {UNLABELLED} where there is none"
    if code == "data.label_range":
        classes = f"be a class from 0 to {scores.n_classes - 1}" if scores else "not be negative"
        return f"a label must {classes}, or {UNLABELLED} where there is none"
    return (
        "labels of classes must be whole numbers or shares that sum to one; set `outputs: values` or `outputs: labels` "
        "in the study file if the outputs are no class scores, or return None from `labels(batch)`"
    )


def _uses_classes(task: Task) -> bool:
    """Whether the task's loss or metrics are those of `Task`, which take labels for classes."""
    return any(getattr(own, "__func__", None) in (Task.loss, Task.metrics) for own in (task.loss, task.metrics))


def _check_overlap(log: FindingLog, digests: dict[str, list[bytes]]) -> None:
    for (first, known), (second, others) in combinations(digests.items(), 2):
        n_shared = sum(map(set(known).__contains__, others))
        if n_shared:
            level: Level = "error" if n_shared > MAX_OVERLAP_SHARE * len(others) else "warning"
            share = f"{n_shared} of {len(others)} samples of {second} ({n_shared / len(others):.1%})"
            way_out = "metrics on them are contaminated; remove them from one of the two sets"
            log.add(level, "data.overlap", f"{share} are also in {first}: {way_out}")


def _report_labels(log: FindingLog, seen: SamplesRead) -> None:
    if not seen.n_labels:
        log.add("ok", "data.own_targets", "the task has targets of its own: the share of unlabelled samples is unknown")
        return
    level: Level = "warning" if seen.n_unlabelled == seen.n_labels else "ok"
    share = f"{seen.n_unlabelled / seen.n_labels:.1%} of the training labels"
    log.add(level, "data.unlabelled", f"{share} are {UNLABELLED} (unlabelled)")
