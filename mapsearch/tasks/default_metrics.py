"""Metrics that every task has by the kind of its outputs, without writing any.

Each holds what it saw of one network: `update` adds a batch, `compute` gives its metrics by name, none where there was
nothing to measure. All are of the whole set, whatever its batches.
"""

import math
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from scipy.stats import spearmanr
from torch import Tensor

from mapsearch.core.masks import OUTPUTS, mask_for
from mapsearch.tasks.default_losses import is_unlabelled
from mapsearch.tasks.loaded_task import LoadedTask
from mapsearch.tasks.metrics import SampleMetrics
from mapsearch.tasks.seen import Seen

MAX_LABELS_SHOWN = 20
"""Most labels whose accuracy is given one by one."""

MAX_PAIRED_SAMPLES = 1024
"""Samples, spread over the set, of which all pairs are compared: half a million similarities."""


class DefaultMetric(Protocol):
    """What it saw of one network."""

    def update(self, seen: Seen) -> None:
        """Add one batch."""

    def compute(self) -> dict[str, float]:
        """The metrics by name."""


def open_default_metrics(loaded: LoadedTask, *, has_own: bool) -> tuple[DefaultMetric, ...]:
    """Fresh metrics for one network.

    Args:
        has_own: whether the task measures its samples itself; these stand beside what it returns.
    """
    kind = loaded.task.output_form.kind
    samples = () if has_own or kind in ("embedding", "none") else (LabelledSamples(loaded),)
    by_kind: dict[str, tuple[DefaultMetric, ...]] = {
        "classes": (Agreement(loaded),),
        "labels": (Agreement(loaded), F1()),
        "values": (Errors(), Concordance(loaded)),
        "embedding": (Likeness(loaded),),
        "none": (),
    }
    return (*samples, *by_kind[kind])


class LabelledSamples:
    """What `Task.metrics` gives by default, where there are labels; for a next-token task also the perplexity."""

    def __init__(self, loaded: LoadedTask) -> None:
        self._means, self._is_language = SampleMetrics(loaded.task), loaded.task.output_form.next_token

    def update(self, seen: Seen) -> None:
        """Add one batch."""
        if seen.aligned[1] is not None:
            self._means.update(seen)

    def compute(self) -> dict[str, float]:
        """`accuracy` and `loss`, or what suits the kind; `perplexity` is the exponential of the loss per token."""
        means = self._means.compute()
        return means | ({"perplexity": _exp(means["loss"])} if self._is_language and "loss" in means else {})


class Agreement:
    """The share of positions and labels, labelled or not, for which the network says what the teacher says.

    Padded positions do not count.
    """

    def __init__(self, loaded: LoadedTask) -> None:
        self._loaded, self._n_equal, self._n = loaded, 0, 0

    def update(self, seen: Seen) -> None:
        """Add one batch."""
        if (answers := _both_answers(self._loaded, seen)) is not None:
            own, teacher = answers
            self._n_equal += int((own == teacher).sum())
            self._n += own.numel()

    def compute(self) -> dict[str, float]:
        """`agreement` in [0, 1]."""
        return {"agreement": self._n_equal / self._n} if self._n else {}


class Concordance:
    """How well values agree with the teacher's; the mean over values where there are several per sample.

    Source: Lin 1989, the concordance correlation coefficient: 1 for equal values, less for those that are shifted,
    of another spread or unrelated. Padded positions do not count.
    """

    def __init__(self, loaded: LoadedTask) -> None:
        self._loaded = loaded
        self._answers: list[tuple[Tensor, Tensor]] = []  # [n, K] each

    def update(self, seen: Seen) -> None:
        """Add one batch."""
        if (answers := _both_answers(self._loaded, seen)) is not None:
            own, teacher = (x.detach().cpu().double().reshape(-1, x.shape[-1]) for x in answers)
            self._answers.append((own, teacher))

    def compute(self) -> dict[str, float]:
        """`agreement` in [-1, 1]; NaN where both networks say the same for every sample."""
        if not self._answers:
            return {}
        own, teacher = (torch.cat(parts) for parts in zip(*self._answers, strict=True))  # [N, K]
        covariance = ((own - own.mean(0)) * (teacher - teacher.mean(0))).mean(0)
        spread = own.var(0, correction=0) + teacher.var(0, correction=0) + (own.mean(0) - teacher.mean(0)).square()
        return {"agreement": float((2 * covariance / spread).mean())}


def _both_answers(loaded: LoadedTask, seen: Seen) -> tuple[Tensor, Tensor] | None:
    """What the network and the teacher say, padding left out; None where it cannot be compared."""
    own, teacher = seen.answer, seen.teacher
    if own is None or teacher is None or own.shape != teacher.shape:
        return None
    mask = mask_for(loaded.task.mask(seen.batch), OUTPUTS)
    if mask is not None and mask.shape == own.shape[: mask.ndim]:
        return own[mask], teacher[mask]
    return own, teacher


class F1:
    """F1 of labels that are yes or no each, with the threshold at one half, and how often each is right."""

    def __init__(self) -> None:
        self._counts: Tensor | int = 0  # [4, K]: rightly yes, said yes, are yes, rightly no

    def update(self, seen: Seen) -> None:
        """Add one batch."""
        outputs, labels = seen.aligned
        if labels is None or labels.shape != outputs.shape:
            return
        labels, outputs = (x.reshape(len(x), -1) if x.ndim < 2 else x.flatten(0, -2) for x in (labels, outputs))
        known = ~is_unlabelled("labels", labels)
        said, wanted = (outputs > 0) & known, (labels > 0.5) & known
        rows = (said & wanted, said, wanted, ~said & ~wanted & known)
        self._counts = self._counts + torch.stack([row.sum(0) for row in rows]).double().cpu()

    def compute(self) -> dict[str, float]:
        """`f1_micro` over all decisions, `f1_macro` as the mean over labels, `accuracy_0` and so on of each label.

        A label that nobody has and nobody is given counts as zero, as in scikit-learn.
        """
        if not isinstance(self._counts, Tensor):
            return {}
        hits, said, wanted, no = self._counts
        f1 = 2 * hits / (said + wanted).clamp(min=1)
        found = {"f1_micro": float(2 * hits.sum() / (said + wanted).sum().clamp(min=1)), "f1_macro": float(f1.mean())}
        n = said + wanted - hits + no
        accuracies = ((hits + no) / n).tolist() if len(n) <= MAX_LABELS_SHOWN else []
        return found | {f"accuracy_{i}": accuracy for i, accuracy in enumerate(accuracies)}


class Errors:
    """How far values are from their targets; the mean over values where there are several per sample."""

    def __init__(self) -> None:
        self._outputs: list[Tensor] = []
        self._labels: list[Tensor] = []

    def update(self, seen: Seen) -> None:
        """Add one batch."""
        outputs, labels = seen.rows
        if labels is not None and labels.shape == outputs.shape:
            for parts, part in ((self._outputs, outputs), (self._labels, labels)):
                parts.append(part.detach().cpu().double().flatten(0, -2))

    def compute(self) -> dict[str, float]:
        """`rmse` over all values, `r2` and `spearman`; NaN where targets or outputs are all alike."""
        if not self._outputs:
            return {}
        outputs, labels = torch.cat(self._outputs).numpy(), torch.cat(self._labels).numpy()
        known = ~np.isnan(labels)
        columns = [(x[is_known], y[is_known]) for x, y, is_known in zip(outputs.T, labels.T, known.T, strict=True)]
        return {
            "rmse": float(np.sqrt(np.mean(np.square(outputs - labels)[known]))) if known.any() else math.nan,
            "r2": float(np.mean([_r2(x, y) for x, y in columns])),
            "spearman": float(np.mean([_spearman(x, y) for x, y in columns])),
        }


class Likeness:
    """How like the teacher's embeddings a network's are; the positions of a sequence are averaged, padding left out."""

    def __init__(self, loaded: LoadedTask) -> None:
        self._loaded = loaded
        self._student: list[Tensor] = []
        self._teacher: list[Tensor] = []

    def update(self, seen: Seen) -> None:
        """Add one batch."""
        if seen.answer is not None and seen.teacher is not None:
            mask = mask_for(self._loaded.task.mask(seen.batch), OUTPUTS)
            self._student.append(_pooled(seen.answer, mask))
            self._teacher.append(_pooled(seen.teacher, mask))

    def compute(self) -> dict[str, float]:
        """Mean `cosine` to the teacher's, where both have one width, and `spearman` of the similarities of pairs.

        A similarity is the cosine of two samples; compared are all pairs of at most `MAX_PAIRED_SAMPLES` samples.
        """
        if not self._student:
            return {}
        student, teacher = torch.cat(self._student), torch.cat(self._teacher)
        same = student.shape == teacher.shape
        cosine = {"cosine": float(F.cosine_similarity(student, teacher, dim=-1).mean())} if same else {}
        return cosine | {"spearman": _spearman(_similarities(student), _similarities(teacher))}


def _pooled(outputs: Tensor, mask: Tensor | None) -> Tensor:
    """Embeddings `[B, D]` in float64 on the CPU."""
    outputs = outputs.detach().double()
    if outputs.ndim > 2:
        mask = None if mask is None or mask.shape != outputs.shape[:-1] else mask
        weights = torch.ones_like(outputs[..., :1]) if mask is None else mask.unsqueeze(-1).to(outputs.dtype)
        outputs = (outputs * weights).flatten(1, -2).sum(1) / weights.flatten(1, -2).sum(1).clamp(min=1)
    return outputs.cpu()


def _similarities(embeddings: Tensor) -> np.ndarray:
    """Cosines of all pairs of samples spread over the set."""
    n = min(len(embeddings), MAX_PAIRED_SAMPLES)
    chosen = F.normalize(embeddings[[i * len(embeddings) // n for i in range(n)]], dim=-1)
    return (chosen @ chosen.T).numpy()[np.triu_indices(n, 1)]


def _spearman(x: np.ndarray, y: np.ndarray) -> float:
    if len(x) < 2 or not (np.isfinite(x).all() and np.isfinite(y).all()) or np.ptp(x) == 0 or np.ptp(y) == 0:
        return math.nan
    return float(spearmanr(x, y).statistic)


def _r2(outputs: np.ndarray, labels: np.ndarray) -> float:
    total = np.sum(np.square(labels - labels.mean())) if len(labels) else 0.0
    return float(1 - np.sum(np.square(outputs - labels)) / total) if total > 0 else math.nan


def _exp(value: float) -> float:
    try:
        return math.exp(value)
    except OverflowError:
        return math.inf
