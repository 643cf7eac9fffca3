"""The contract of a task: teacher, student, data, loss and metric; users subclass `Task`."""

import inspect
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor, nn
from torch.utils.data import default_collate

from mapsearch.core.errors import TaskError
from mapsearch.core.outputs import CLASS_SCORES, Outputs
from mapsearch.tasks.alignment import aligned
from mapsearch.tasks.default_losses import default_metrics, is_unlabelled, loss_per_label

LOGITS = "logits"
EMBEDDINGS = ("sentence_embedding", "pooler_output", "last_hidden_state")
"""Fields of outputs without a head, the first that is there."""


class Metric(Protocol):
    """A metric of one network over a whole data set, one batch at a time. Those of torchmetrics are such as they are.

    Example:
        class F1:
            def __init__(self):
                self.hits = self.guessed = self.wanted = 0

            def update(self, outputs, labels):
                guessed, wanted = outputs.argmax(-1) == 1, labels == 1
                self.hits += int((guessed & wanted).sum())
                self.guessed += int(guessed.sum())
                self.wanted += int(wanted.sum())

            def compute(self):
                return 2 * self.hits / max(1, self.guessed + self.wanted)
    """

    def update(self, outputs: Any, labels: Any, /) -> None:
        """Add one batch: the network's outputs, in float32, and the labels they are held against, -100 included."""

    def compute(self) -> Any:
        """The metric of all that was added: a number, a tensor of one or one per class, or a dict of such by name."""


class Task(ABC):
    """What a study distils. Only the first four methods must be written.

    A batch is what `collate` makes of samples: a tuple `(x, y, ...)` or a dict with `labels`, as
    Hugging Face models take it; both work without overriding anything. Data are map-style datasets (`len` and
    indexing), streams (`IterableDataset`, generators) or a `DataLoader` over either. `cache_dir` is the study's own
    folder beside the database where a task may keep what is dear to make, such as a trained teacher. `output_form` is
    how its outputs are read, once that is known.
    """

    cache_dir: Path = Path()
    output_form: Outputs = CLASS_SCORES

    @abstractmethod
    def teacher(self) -> nn.Module:
        """The trained teacher; called once per process."""

    @abstractmethod
    def student(self) -> nn.Module:
        """A new student; called once per run, under that run's seed."""

    @abstractmethod
    def train_data(self) -> Any:
        """Training samples, the same in the same order at every call; label -100 means unlabelled.

        `train_data(self, seed)` draws them anew for each seed, the same ones at every call with that seed; the verdict
        then covers the draw of the data too.

        A stream is read from its beginning by every run, after `set_epoch(number)` where it has that and with the
        generators of torch, NumPy and Python seeded by the run's seed. Of a `DataLoader` the dataset, `collate_fn`,
        and the weights or indices of its sampler are used; batches of `train.batch_size` are drawn by the run's seed.
        """

    @abstractmethod
    def valid_data(self) -> Any:
        """Samples that steer the search; a stream is read to its end, once."""

    def test_data(self) -> Any | None:
        """Samples that only the verdict sees; None sets every second sample of `valid_data` aside."""
        return None

    def sample_weights(self) -> Any | None:
        """Weights `[N]` of drawing each training sample, in any unit; None draws every sample once per epoch.

        Samples are drawn with replacement and a chance in proportion to their weight, as by torch's
        `WeightedRandomSampler`; a weight of zero leaves a sample out. `sample_weights(self, seed)` goes with a
        `train_data` that takes a seed.
        """
        return None

    def parameter_groups(self, student: nn.Module, lr: float) -> list[dict[str, Any]] | None:
        """Groups of the student's parameters, as torch's optimizers take them; None: all in one group.

        A group may have a learning rate and a weight decay of its own, `lr` being that of the study; every group
        follows the schedule. Together they hold every trainable parameter once.
        """
        return None

    def collate(self, samples: list[Any]) -> Any:
        """The batch of a list of samples."""
        return default_collate(samples)

    def forward(self, model: nn.Module, batch: Any) -> Any:
        """The model's output: keyword arguments from a dict, else the first item.

        A dict's `labels` are given to models that take them, which then compute their own loss.
        """
        return forward_batch(model, batch)

    def outputs(self, output: Any) -> Tensor | None:
        """What of a network's output the student is to match; None matches features alone.

        `[B, C]` or more axes for class scores, `[B, K]` for labels or values, `[B, D]` for an embedding. Default:
        `logits(output)`.
        """
        return self.logits(output)

    def logits(self, output: Any) -> Tensor:
        """The tensor in an output: itself, a field such as `logits` or `pooler_output`, or the first item after a loss.

        Raises:
            TaskError: a dict or object without such a field.
        """
        if isinstance(output, Tensor):
            return output
        for name in (LOGITS, *EMBEDDINGS):
            found = output.get(name) if isinstance(output, Mapping) else getattr(output, name, None)
            if found is not None:
                return found  # type: ignore[no-any-return]
        if isinstance(output, (tuple, list)) and len(output) > (own_loss(output) is not None):
            return output[own_loss(output) is not None]  # type: ignore[no-any-return]
        keys = f" with {', '.join(map(str, output))}" if isinstance(output, Mapping) else ""
        what = f"a {type(output).__name__}{keys} has none of {', '.join((LOGITS, *EMBEDDINGS))}"
        raise TaskError(f"{what}; say by `Task.outputs(output)` which tensor the student is to match")

    def labels(self, batch: Any) -> Tensor | None:
        """Labels `[B, ...]` of a batch: its `labels`, else the second item; None where there are none.

        Whole numbers are classes, `[B]` or one per position; floats are yes or no for each label, or values.
        """
        if isinstance(batch, Mapping):
            return batch.get("labels")
        return batch[1] if isinstance(batch, (tuple, list)) and len(batch) > 1 else None

    def loss(self, output: Any, batch: Any) -> Tensor | None:
        """The task loss, a scalar; None where the task has none, so that the teacher alone teaches.

        A model that computed its own, as those of Hugging Face do from `labels`, is believed. Else the mean over
        labelled samples, zero when there is none: cross entropy for classes, binary cross entropy for labels,
        squared error for values.
        """
        labels, kind = self.labels(batch), self.output_form.kind
        own = own_loss(output)
        if own is not None and (labels is None or not bool(is_unlabelled(kind, labels).all())):
            return own
        outputs = self.outputs(output)
        if labels is None or outputs is None or kind in ("embedding", "none"):
            return None
        outputs, labels = aligned(self.output_form, outputs, labels)
        n_labelled = (~is_unlabelled(kind, labels)).sum()
        return loss_per_label(kind, outputs, labels).sum() / n_labelled.clamp(min=1)

    def metrics(self, output: Any, batch: Any) -> dict[str, Tensor | float]:
        """Measured values by name; one that names a third argument `teacher_output` is given the teacher's output.

        A tensor holds one value per sample or position, with NaN only where the label is -100; NaN elsewhere makes
        the metric NaN. A plain number is a batch mean, weighted by the batch's size: F1, AUROC and others that are
        not means over samples belong into `metric_objects` or `score`. Default: `loss`, and `accuracy` in [0, 1] for
        classes and labels or `absolute_error` for values; more by the kind of the outputs is measured beside them.

        Raises:
            TaskError: there are no labels, or outputs that have none, to measure by.
        """
        outputs, labels, kind = self.outputs(output), self.labels(batch), self.output_form.kind
        if outputs is None or labels is None or kind in ("embedding", "none"):
            raise TaskError("the task has nothing to measure by default; define `Task.metrics(output, batch)`")
        return default_metrics(kind, *aligned(self.output_form, outputs, labels))

    def metric_objects(self) -> dict[str, Metric]:
        """Fresh objects at every call that measure the whole set, by name, such as those of torchmetrics.

        They see outputs and labels as they are held against each other, on the study's device. What `compute` returns
        counts under the object's name, or under its own names when it is a dict.
        """
        return {}

    def score(self, outputs: Any, labels: Any) -> dict[str, float]:
        """Metrics of the whole set, by name, from everything at once on the CPU, as scikit-learn takes it.

        Args:
            outputs: `[N, ...]` in float32. Sequences of different lengths are padded at their end to the longest one
                of the set, with NaN.
            labels: `[N, ...]`, padded with -100 (floats with NaN); None where the task has none.
        """
        return {}

    def tokenizers(self) -> tuple[Any, Any] | None:
        """The teacher's and the student's tokenizer, each with `get_vocab()`, to be compared; None: not compared."""
        return None

    def mask(self, batch: Any) -> Tensor | None:
        """Which positions of a token batch are real, bool `[B, L]`: the `attention_mask`, else all."""
        return mask_of(batch)


def forward_batch(model: nn.Module, batch: Any) -> Any:
    """The model's output: keyword arguments from a dict, else the first item of a tuple.

    `labels` are left out unless the model takes them, as Hugging Face's do.
    """
    if not isinstance(batch, Mapping):
        return model(inputs_of(batch))
    return model(**batch) if "labels" in batch and takes_labels(model) else model(**inputs_of(batch))


def own_loss(output: Any) -> Tensor | None:
    """The loss that the model computed, a scalar: `.loss`, `["loss"]`, or what stands first in a tuple."""
    if isinstance(output, (tuple, list)) and output:
        found = getattr(output, "loss", output[0])
    else:
        found = output.get("loss") if isinstance(output, Mapping) else getattr(output, "loss", None)
    return found if isinstance(found, Tensor) and not found.ndim else None


def takes_labels(model: nn.Module) -> bool:
    """Whether `forward` has a parameter `labels`, and so a loss of its own."""
    return "labels" in inspect.signature(getattr(model, "forward", model)).parameters


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
