"""Checks of the samples: overlap of the data sets, labels, padding without a mask."""

from itertools import combinations
from typing import Any

import torch
from torch import Tensor

from mapsearch.check.finding_log import FindingLog
from mapsearch.core.findings import Level
from mapsearch.core.space import RecipeSpace
from mapsearch.core.spec import StudySpec
from mapsearch.tasks.batches import ordered_batches
from mapsearch.tasks.loading import LoadedTask
from mapsearch.tasks.outputs import matched_outputs
from mapsearch.tasks.overlap import input_digests
from mapsearch.tasks.padding import padding_share
from mapsearch.tasks.precision import forward_in
from mapsearch.tasks.task import UNLABELLED, batch_size

OVERLAP = 0.01
"""Share of a data set that may occur in another one before the study is refused."""

LABEL_SAMPLES = 2048


def check_data(log: FindingLog, loaded: LoadedTask, spec: StudySpec) -> None:
    """Sizes, samples that stand in two data sets, and the share without a label."""
    n, size = len(loaded.train), spec.train.batch_size
    if size > n:
        log.add(
            "warning",
            "data.few_samples",
            f"`train.batch_size: {size}` is more than the {n} training samples; {n} are used",
        )
    with log.guard("data", "reading the samples"):
        data = {"train_data": loaded.train, "valid_data": loaded.valid, "test_data": loaded.test}
        digests = {name: input_digests(samples) for name, samples in data.items()}
        log.add("ok", "data.sizes", ", ".join(f"{name} {len(samples)}" for name, samples in data.items()) + " samples")
        for (first, known), (second, found) in combinations(digests.items(), 2):
            n_shared = sum(map(set(known).__contains__, found))
            if n_shared:
                level: Level = "error" if n_shared > OVERLAP * len(found) else "warning"
                log.add(level, "data.overlap", _overlap(first, second, n_shared, len(found)))
    with log.guard("data", "reading training batches"):
        _check_labels(log, loaded)


def _overlap(first: str, second: str, n_shared: int, n: int) -> str:
    share = f"{n_shared} of {n} samples of {second} ({n_shared / n:.1%})"
    return f"{share} are also in {first}: metrics on them are contaminated; remove them from one of the two sets"


def _check_labels(log: FindingLog, loaded: LoadedTask) -> None:
    n_all = n_unlabelled = 0
    for batch in ordered_batches(loaded, loaded.train, 256, LABEL_SAMPLES):
        labels = _labels(loaded, batch)
        if labels is None:
            log.add("ok", "data.own_targets", "targets of the task's own: the share without a label is not known")
            return
        n_all, n_unlabelled = n_all + labels.numel(), n_unlabelled + int((labels == UNLABELLED).sum())
    level: Level = "warning" if n_unlabelled == n_all else "ok"
    log.add(
        level, "data.unlabelled", f"{n_unlabelled / n_all:.1%} of the training labels are {UNLABELLED} (unlabelled)"
    )


def _labels(loaded: LoadedTask, batch: Any) -> Tensor | None:
    """Integer labels, or None where the task has a loss and targets of its own and `labels` does not apply."""
    try:
        labels = loaded.task.labels(batch)
    except Exception:  # a default loss that needs them is tried later, and its error told
        return None
    return labels if isinstance(labels, Tensor) and not labels.is_floating_point() else None


def check_padding(log: FindingLog, loaded: LoadedTask, spec: StudySpec, space: RecipeSpace, batch: Any) -> None:
    """Whether the mask fits the token layers and the logits, or is missing where there is padding."""
    mask, n = loaded.task.mask(batch), batch_size(batch)
    positions = {
        f"the tokens of `{x.path}`": x.positions for x in (*space.student, *space.teacher) if x.kind == "tokens"
    }
    with torch.no_grad():
        logits = matched_outputs(loaded.task, forward_in(spec.train.precision, loaded)(loaded.teacher, batch))
    positions |= {"the logits": tuple(logits.shape[1:-1])} if logits.ndim > 2 else {}
    if not positions and mask is None:
        return
    if mask is None:
        share = max(padding_share(batch), _unlabelled_ends(loaded, batch))
        problem = f"{share:.0%} of the positions look like padding, which must not be learned"
        where = "give `attention_mask` in a dict batch, or define `Task.mask(batch)` (bool `[B, L]`)"
        if share:
            log.add("error", "padding.unmasked", f"{problem}; {where}")
        else:
            log.add("ok", "padding.none", "none found")
        return
    positions = positions or {"the positions": tuple(mask.shape[1:])}
    strange = {what: shape for what, shape in positions.items() if tuple(mask.shape) != (n, *shape)}
    if mask.dtype != torch.bool or strange:
        what, shape = next(iter((strange or positions).items()))
        wanted = f"bool {[n, *shape]} as {what}"
        log.add(
            "error", "padding.mask_shape", f"`mask(batch)` must be {wanted}, but got {mask.dtype} {list(mask.shape)}"
        )
    else:
        log.add("ok", "padding.masked", f"{float((~mask).float().mean()):.0%} of the positions are padding: masked")


def _unlabelled_ends(loaded: LoadedTask, batch: Any) -> float:
    """The share of positions that end a sequence of labels `[B, L]` with -100, to different lengths."""
    labels = _labels(loaded, batch)
    if labels is None or labels.ndim != 2:
        return 0.0
    lengths = (labels == UNLABELLED).flip(1).long().cumprod(1).sum(1)  # [B]
    lengths = lengths[lengths < labels.shape[1]]  # a wholly unlabelled sequence is no padding
    return float(lengths.sum() / labels.numel()) if len(lengths) and lengths.min() < lengths.max() else 0.0
