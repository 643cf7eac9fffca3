"""The contract of a task: teacher, student, data, loss and metric; users subclass `Task`."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import default_collate

from mapsearch.core.errors import TaskError

UNLABELLED = -100
"""Label of a sample the task loss and the metrics skip; the teacher still teaches it."""


class MetricAccumulator(Protocol):
    """Metrics of one network over a whole data set, one batch at a time.

    Example:
        class F1:
            def __init__(self):
                self.hits = self.guessed = self.wanted = 0

            def update(self, output, batch):
                guessed, wanted = output.argmax(-1) == 1, batch[1] == 1
                self.hits += int((guessed & wanted).sum())
                self.guessed += int(guessed.sum())
                self.wanted += int(wanted.sum())

            def compute(self):
                return {"f1": 2 * self.hits / max(1, self.guessed + self.wanted)}
    """

    def update(self, output: Any, batch: Any) -> None:
        """Add one batch: the network's output, in float32, and the batch."""

    def compute(self) -> dict[str, float]:
        """The metrics over all that was added, by name."""


class Task(ABC):
    """What a study distils. Only the first four methods must be written.

    A batch is what `collate` makes of samples: a tuple `(x, y, ...)` or a dict with `labels`, as
    Hugging Face models take it; both work without overriding anything. Datasets are map-style
    (`len` and indexing). `cache_dir` is the study's own folder beside the database where a task may keep
    what is dear to make, such as a trained teacher.
    """

    cache_dir: Path = Path()

    @abstractmethod
    def teacher(self) -> nn.Module:
        """The trained teacher; called once per process."""

    @abstractmethod
    def student(self) -> nn.Module:
        """A new student; called once per run, under that run's seed."""

    @abstractmethod
    def train_data(self) -> Any:
        """Training samples, the same in the same order at every call; label -100 means unlabelled."""

    @abstractmethod
    def valid_data(self) -> Any:
        """Samples that steer the search."""

    def test_data(self) -> Any | None:
        """Samples that only the verdict sees; None sets every second sample of `valid_data` aside."""
        return None

    def collate(self, samples: list[Any]) -> Any:
        """The batch of a list of samples."""
        return default_collate(samples)

    def forward(self, model: nn.Module, batch: Any) -> Any:
        """The model's output: keyword arguments from a dict (all but `labels`), else the first item."""
        return forward_batch(model, batch)

    def logits(self, output: Any) -> Tensor:
        """Class scores `[..., C]` of an output: a tensor, `.logits`, `["logits"]` or the first item.

        Raises:
            TaskError: a dict or object without logits, such as that of a Hugging Face model without a head.
        """
        if isinstance(output, Tensor):
            return output
        if hasattr(output, "logits"):
            return output.logits  # type: ignore[no-any-return]
        if isinstance(output, (tuple, list)) and output:
            return output[0]  # type: ignore[no-any-return]
        if isinstance(output, Mapping) and "logits" in output:
            return output["logits"]  # type: ignore[no-any-return]
        keys = f" with {', '.join(map(str, output))}" if isinstance(output, Mapping) else ""
        what = f"a {type(output).__name__}{keys} has no `logits`"
        raise TaskError(f"{what}; choose a model with a head for your task, or define `Task.logits(output)`")

    def labels(self, batch: Any) -> Tensor:
        """Integer labels `[...]` of a batch: its `labels`, else the second item."""
        return batch["labels"] if isinstance(batch, Mapping) else batch[1]  # type: ignore[no-any-return]

    def loss(self, output: Any, batch: Any) -> Tensor:
        """The task loss, a scalar: cross entropy over labelled samples, zero when there is none."""
        labels = self.labels(batch)
        total = _cross_entropy(self.logits(output), labels).sum()
        return total / (labels != UNLABELLED).sum().clamp(min=1)

    def metrics(self, output: Any, batch: Any) -> dict[str, Tensor | float]:
        """Measured values by name.

        A tensor holds one value per sample, with NaN for samples that do not count, such as those without a
        label; a network whose output is NaN has NaN metrics in any case. A plain number is a batch mean,
        weighted by the batch's size. Metrics that are not means over samples (F1, AUROC) need an
        `accumulator`. Default: `accuracy` in [0, 1] and `loss` in nats, infinite where it is not a number.
        """
        logits, labels = self.logits(output), self.labels(batch)
        unlabelled = labels == UNLABELLED
        right = (logits.argmax(-1) == labels).float().masked_fill(unlabelled, torch.nan)
        loss = _cross_entropy(logits, labels)
        loss = loss.masked_fill(loss.isnan(), torch.inf).masked_fill(unlabelled, torch.nan)
        return {"accuracy": right, "loss": loss}

    def accumulator(self) -> MetricAccumulator | None:
        """A fresh accumulator of metrics over a whole data set; None: means of what `metrics` returns."""
        return None

    def tokenizers(self) -> tuple[Any, Any] | None:
        """The teacher's and the student's tokenizer, each with `get_vocab()`, to be compared; None: not compared."""
        return None

    def mask(self, batch: Any) -> Tensor | None:
        """Which positions of a token batch are real, bool `[B, L]`: the `attention_mask`, else all."""
        return mask_of(batch)


def _cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Per sample, in the shape of the labels; zero where unlabelled."""
    flat = F.cross_entropy(logits.flatten(0, -2).float(), labels.flatten(), ignore_index=UNLABELLED, reduction="none")
    return flat.view(labels.shape)


def forward_batch(model: nn.Module, batch: Any) -> Any:
    """The model's output: keyword arguments from a dict (all but `labels`), else the first item of a tuple."""
    inputs = inputs_of(batch)
    return model(**inputs) if isinstance(batch, Mapping) else model(inputs)


def mask_of(batch: Any) -> Tensor | None:
    """Real positions of a dict's tokens, bool `[B, L]`: its `attention_mask`, else None."""
    if isinstance(batch, Mapping) and "attention_mask" in batch:
        return batch["attention_mask"].bool()  # type: ignore[no-any-return]
    return None


def inputs_of(batch: Any) -> Any:
    """What of a batch or sample is shown to a network: all but `labels` of a dict, else the first item."""
    if isinstance(batch, Mapping):
        return {key: value for key, value in batch.items() if key != "labels"}
    return batch[0] if isinstance(batch, (tuple, list)) else batch
