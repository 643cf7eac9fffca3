import math

import numpy as np
import pytest
import torch
import torchmetrics
from scipy.stats import spearmanr
from sklearn.metrics import f1_score, jaccard_score, roc_auc_score
from small_tasks import load
from torch import nn
from torch.utils.data import TensorDataset

from mapsearch.core.errors import TaskError
from mapsearch.core.outputs import Outputs
from mapsearch.core.train_spec import TrainSpec
from mapsearch.tasks.evaluation import evaluate
from mapsearch.tasks.task import Task
from mapsearch.tasks.whole_set import joined

N, SIZES = 101, [3, 16, 256]


class Known(Task):
    """The input is the output; methods are set on it."""

    def __init__(self, outputs, labels):
        self.data = TensorDataset(outputs, labels)

    def teacher(self):
        return nn.Identity()

    def student(self):
        return nn.Linear(1, 1)

    def train_data(self):
        return self.data

    valid_data = test_data = train_data


def measured(task, size):
    loaded = load(task)
    return evaluate(loaded, [loaded.teacher], loaded.valid, TrainSpec(eval_batch_size=size))[0]


def drawn(*shape, n_classes=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(n_classes, shape, generator=generator)
    labels[0] = -100
    outputs = torch.randn(*shape, n_classes, generator=generator) + nn.functional.one_hot(labels.clamp(0), n_classes)
    return outputs, labels


CLASSES = {"task": "multiclass", "num_classes": 3, "ignore_index": -100}


@pytest.mark.parametrize("size", SIZES)
def test_metrics_of_torchmetrics_are_those_of_the_whole_set(size):
    outputs, labels = drawn(N)
    task = Known(outputs, labels)
    task.metric_objects = lambda: {
        "f1": torchmetrics.F1Score(**CLASSES, average="macro"),
        "auroc": torchmetrics.AUROC(**CLASSES),
        "miou": torchmetrics.JaccardIndex(**CLASSES),
    }
    known, said = labels[1:], outputs[1:].argmax(-1)
    found = measured(task, size)
    assert found["f1"] == pytest.approx(f1_score(known, said, average="macro"), abs=1e-6)
    assert found["miou"] == pytest.approx(jaccard_score(known, said, average="macro"), abs=1e-6)
    expected = roc_auc_score(known, outputs[1:].softmax(-1), multi_class="ovr", average="macro")
    assert found["auroc"] == pytest.approx(expected, abs=1e-6)


@pytest.mark.filterwarnings("ignore:Metric `Spearman")  # keeps all it sees, which is the point
@pytest.mark.parametrize("size", SIZES)
def test_spearman_and_perplexity_are_those_of_the_whole_set(size):
    generator = torch.Generator().manual_seed(1)
    x, noise = torch.randn(2, N, generator=generator)
    task = Known(x, x + noise)
    task.metrics = lambda output, batch: {"distance": output - batch[1]}
    task.metric_objects = lambda: {"spearman": torchmetrics.SpearmanCorrCoef()}
    assert measured(task, size)["spearman"] == pytest.approx(spearmanr(x, x + noise).statistic, abs=1e-6)

    outputs, labels = drawn(N, 7)
    task = Known(outputs, labels)
    task.metric_objects = lambda: {"perplexity": torchmetrics.text.Perplexity(ignore_index=-100)}
    expected = math.exp(nn.functional.cross_entropy(outputs.double().flatten(0, 1), labels.flatten()))
    assert measured(task, size)["perplexity"] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("size", SIZES)
def test_score_gets_everything(size):
    outputs, labels = drawn(N)
    task = Known(outputs, labels)

    def score(outputs, labels):
        known = labels != -100
        return {"f1": f1_score(labels[known], outputs[known].argmax(-1), average="macro"), "n": len(labels)}

    task.score = score
    expected = f1_score(labels[1:], outputs[1:].argmax(-1), average="macro")
    found = measured(task, size)
    assert found["f1"] == pytest.approx(expected, abs=1e-12)
    assert found["n"] == N


@pytest.mark.parametrize("size", [1, 2, 4])
def test_sequences_of_different_lengths_are_padded_for_score(size):
    lengths = [2, 5, 3, 4]
    samples = [(torch.ones(n, 3), torch.ones(n, dtype=torch.long)) for n in lengths] * 2

    class Ragged(Known):
        def collate(self, samples):
            outputs, labels = zip(*samples, strict=True)
            pad = nn.utils.rnn.pad_sequence
            return pad(outputs, True, 0.0), pad(labels, True, -100)

        def score(self, outputs, labels):
            assert outputs.shape == (8, 5, 3)
            assert labels.shape == (8, 5)
            return {"n": float((labels != -100).sum())}

    task = Ragged(torch.zeros(8), torch.zeros(8))
    task.metrics = lambda output, batch: {"n_samples": torch.ones(len(output))}
    task.data = samples
    assert measured(task, size)["n"] == 2 * sum(lengths)


def test_what_is_missing_at_the_end_of_a_batch_cannot_be_mistaken_for_a_value():
    outputs = joined([torch.ones(1, 3, 2), torch.ones(2, 2, 2)])
    assert outputs[1:, 2].isnan().all()
    assert not outputs[:, :2].isnan().any()
    assert joined([torch.ones(1, 2).long(), torch.ones(1, 1).long()]).tolist() == [[1, 1], [1, -100]]
    assert joined([None, None]) is None


class Computes:
    def __init__(self, computed):
        self.computed = computed

    def update(self, outputs, labels):
        pass

    def compute(self):
        return self.computed


@pytest.mark.parametrize(
    ("computed", "expected"),
    [
        (1, {"x": 1.0}),
        (np.float64(0.5), {"x": 0.5}),
        (torch.tensor([0.5]), {"x": 0.5}),
        (torch.tensor([0.25, 0.5]), {"x_0": 0.25, "x_1": 0.5}),
        ({"a": torch.tensor(0.5), "b": 1}, {"a": 0.5, "b": 1.0}),
    ],
)
def test_what_objects_may_compute(computed, expected):
    task = Known(*drawn(N))
    task.metric_objects = lambda: {"x": Computes(computed)}
    assert measured(task, 16).items() >= expected.items()


def test_a_collection_of_torchmetrics_is_an_object():
    task = Known(*drawn(N))
    parts = {"f1": torchmetrics.F1Score(**CLASSES), "recall": torchmetrics.Recall(**CLASSES)}
    task.metric_objects = lambda: {"all": torchmetrics.MetricCollection(parts)}
    assert {"f1", "recall"} < measured(task, 16).keys()


@pytest.mark.parametrize("computed", [None, "good", torch.zeros(2, 2), torch.zeros(0), [object()]])
def test_what_is_no_number_is_refused(computed):
    task = Known(*drawn(N))
    task.metric_objects = lambda: {"mine": Computes(computed)}
    with pytest.raises(TaskError, match=r"metric_objects.*number.*`mine`"):
        measured(task, 16)


@pytest.mark.parametrize("objects", [{"f1": torchmetrics.F1Score}, {"f1": 0.5}, [Computes(1)], None])
def test_objects_that_are_none_are_refused(objects):
    task = Known(*drawn(N))
    task.metric_objects = lambda: objects
    with pytest.raises(TaskError, match=r"metric_objects\(\)` must return a dict"):
        measured(task, 16)


def test_an_object_that_cannot_take_the_outputs_is_named():
    task = Known(*drawn(N))
    task.metric_objects = lambda: {"mine": torchmetrics.classification.BinaryF1Score()}
    with pytest.raises(TaskError, match=r"metric_objects\(\)\['mine'\].update\(outputs, labels\)` failed for \[16, "):
        measured(task, 16)


def test_one_name_for_two_metrics_is_refused():
    task = Known(*drawn(N))
    task.metric_objects = lambda: {"a": Computes({"f1": 1.0}), "b": Computes({"f1": 0.0})}
    with pytest.raises(TaskError, match="`f1` is measured twice"):
        measured(task, 16)


def test_a_metric_of_the_tasks_own_stands_in_for_a_default_one():
    task = Known(*drawn(N))
    task.metric_objects = lambda: {"accuracy": Computes(0.125)}
    found = measured(task, 16)
    assert found["accuracy"] == 0.125
    assert found["loss"] > 0


def test_objects_are_moved_to_the_device():
    class Moved(Computes):
        def to(self, device):
            moved.append(device)
            return self

    moved = []
    task = Known(*drawn(N))
    task.metric_objects = lambda: {"x": Moved(1.0)}
    measured(task, 16)
    assert moved == [torch.device("cpu")]


def test_where_nothing_is_matched_metrics_see_the_whole_output():
    task = Known(*drawn(N))
    task.output_form = Outputs("none")
    task.forward = lambda model, batch: {"boxes": batch[0]}
    task.score = lambda outputs, labels: {"n": sum(len(output["boxes"]) for output in outputs)}
    assert measured(task, 16) == {"n": N}
