"""The contract of a task: teacher, student, data, loss and metric; users subclass `Task`."""

import inspect
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.utils.data import default_collate

from mapsearch.core.errors import TaskError
from mapsearch.core.outputs import CLASS_SCORES, Outputs
from mapsearch.tasks.alignment import aligned
from mapsearch.tasks.default_losses import UNLABELLED, default_metrics, is_unlabelled, loss_per_label
from mapsearch.tasks.masks import Masks, decoder_masks, mask_of
from mapsearch.tasks.memory import is_out_of_memory
from mapsearch.tasks.nested import with_tensors
from mapsearch.tasks.output_fields import HIDDEN, LOGITS, SENTENCE, TOWERS, named_output, own_loss, stacked

SPAN_LABELS = ("start_positions", "end_positions")
"""What question answering is taught: where in the sequence the answer starts and ends."""
TARGETS = ("labels", *SPAN_LABELS)
"""Keys of a batch that are to be learned, not seen."""


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
        """The batch of a list of samples; lists of numbers in dicts, as a `datasets.Dataset` has them, become tensors.

        Raises:
            TaskError: they make no batch, such as sequences of different lengths.
        """
        samples = [with_tensors(sample) for sample in samples]
        try:
            return default_collate(samples)
        except (RuntimeError, TypeError, KeyError) as error:
            if is_out_of_memory(error):
                raise
            way_out = "pad or crop them in `Task.collate(samples)`, as a data collator of transformers does"
            raise TaskError(f"samples make no batch: {' '.join(str(error).split())}; {way_out}") from error

    def forward(self, model: nn.Module, batch: Any) -> Any:
        """The model's output: keyword arguments from a dict, else the first item.

        A dict's `labels`, `start_positions` and `end_positions` are given to models that take them, which then compute
        their own loss.
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

        `start_logits` and `end_logits` of question answering are `[B, 2, L]`: the classes are positions. The embeddings
        of several towers, such as `image_embeds` and `text_embeds`, are one, `[B, 2 * D]`.

        Raises:
            TaskError: a dict or object without such a field.
        """
        if isinstance(output, Tensor):
            return output
        if (named := named_output(output)) is not None:
            return named[1]
        if isinstance(output, (tuple, list)) and len(output) > (own_loss(output) is not None):
            return output[own_loss(output) is not None]  # type: ignore[no-any-return]
        keys = f" with {', '.join(map(str, output))}" if isinstance(output, Mapping) else ""
        what = f"a {type(output).__name__}{keys} has none of {', '.join((LOGITS, SENTENCE, *TOWERS, *HIDDEN))}"
        raise TaskError(f"{what}; say by `Task.outputs(output)` which tensor the student is to match")

    def labels(self, batch: Any) -> Tensor | None:
        """Labels `[B, ...]` of a batch: its `labels`, else the second item; None where there are none.

        Whole numbers are classes, `[B]` or one per position; floats are yes or no for each label, or values. Of
        question answering they are the start and the end of the answer, `[B, 2]`. Of a batch's `labels`, those that a
        segmentation model of Hugging Face leaves out (`semantic_loss_ignore_index`) are -100.
        """
        if isinstance(batch, Mapping):
            labels, ignored = batch.get("labels"), self.output_form.ignored
            if labels is None:
                return stacked(batch, SPAN_LABELS)
            return labels if ignored is None else labels.masked_fill(labels == ignored, UNLABELLED)  # type: ignore[no-any-return]
        return batch[1] if isinstance(batch, (tuple, list)) and len(batch) > 1 else None

    def loss(self, output: Any, batch: Any) -> Tensor | None:
        """The task loss, a scalar; None where the task has none, so that the teacher alone teaches.

        A model that computed its own, as those of Hugging Face do from `labels`, is believed, unless no sample is
        labelled, or some of its yes-or-no labels are not, which it would take for numbers. Else the mean over labelled
        samples, zero when there is none: cross entropy for classes, binary cross entropy for labels, squared error for
        values.
        """
        labels, kind = self.labels(batch), self.output_form.kind
        own = own_loss(output)
        missing = is_unlabelled(kind, labels) if isinstance(labels, Tensor) else torch.zeros(1, dtype=torch.bool)
        if own is not None and not bool(missing.any() if kind == "labels" else missing.all()):
            return own
        outputs = self.outputs(output)
        if not isinstance(labels, Tensor) or outputs is None or kind in ("embedding", "none"):
            return None
        outputs, labels = aligned(self.output_form, outputs, labels, self.mask(batch))
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
        return default_metrics(kind, *aligned(self.output_form, outputs, labels, self.mask(batch)))

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

    def mask(self, batch: Any) -> Masks:
        """Which positions of a token batch are real, bool `[B, L]`: the `attention_mask`, else all.

        Several masks are a dict by name or glob of the layers or parts of the networks that they are for, such as
        `encoder` and `*.decoder`, and by `outputs`; the first that fits counts. By default there are several for models
        of Hugging Face with an encoder and a decoder, whose tokens end with the `labels`; those that make tokens of
        sound by convolutions (wav2vec 2.0) have the mask of these tokens.
        """
        form = self.output_form
        return (decoder_masks if form.from_decoder else mask_of)(batch, form.windows)


def forward_batch(model: nn.Module, batch: Any) -> Any:
    """The model's output: keyword arguments from a dict, else the first item of a tuple.

    What is to be learned, such as `labels`, is left out unless the model takes it, as Hugging Face's do.
    """
    if not isinstance(batch, Mapping):
        return model(inputs_of(batch))
    taken = inspect.signature(getattr(model, "forward", model)).parameters
    return model(**{key: value for key, value in batch.items() if key not in TARGETS or key in taken})


def inputs_of(batch: Any) -> Any:
    """What of a batch or sample is shown to a network: all but the `TARGETS` of a dict, else the first item."""
    if isinstance(batch, Mapping):
        return {key: value for key, value in batch.items() if key not in TARGETS}
    return batch[0] if isinstance(batch, (tuple, list)) else batch
