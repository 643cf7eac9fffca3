import math

import pytest
import torch
from scipy.stats import spearmanr
from sklearn.metrics import f1_score, r2_score
from small_tasks import load
from torch import nn
from torch.utils.data import TensorDataset

from mapsearch.core.outputs import Outputs
from mapsearch.core.train_spec import TrainSpec
from mapsearch.tasks.evaluation import evaluate
from mapsearch.tasks.task import Task

N, SIZES = 50, [3, 16, 256]


class Known(Task):
    """The input is the teacher's output; a student adds a constant noise to it."""

    def __init__(self, form, outputs, labels=None):
        self.output_form = form
        self.data = TensorDataset(outputs) if labels is None else TensorDataset(outputs, labels)

    def teacher(self):
        return nn.Identity()

    def student(self):
        return nn.Identity()

    def train_data(self):
        return self.data

    valid_data = test_data = train_data


class Wide(nn.Module):
    def forward(self, x):
        return torch.cat([x, x.square()], -1)


class Applied(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


def measured(task, size, model=None):
    loaded = load(task)
    return evaluate(loaded, [model or loaded.teacher], loaded.valid, TrainSpec(eval_batch_size=size))[0]


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("size", SIZES)
def test_classes(size):
    scores, labels = drawn(N, 3), drawn(N, 3, seed=1).argmax(-1)
    labels[:7] = -100
    found = measured(Known(Outputs(), scores, labels), size, nn.Linear(3, 3))
    assert found.keys() == {"accuracy", "loss", "agreement"}
    assert measured(Known(Outputs(), scores, labels), size)["agreement"] == 1.0


@pytest.mark.parametrize("size", SIZES)
def test_language_models_are_measured_on_the_next_token(size):
    scores, labels = drawn(N, 6, 5), drawn(N, 6, 5, seed=1).argmax(-1)
    labels[:, -2:] = -100
    found = measured(Known(Outputs(next_token=True), scores, labels), size)
    known, said = labels[:, 1:4], scores[:, :3]
    loss = nn.functional.cross_entropy(said.flatten(0, 1).double(), known.flatten())
    assert found["perplexity"] == pytest.approx(math.exp(loss), rel=1e-6)
    assert found["accuracy"] == pytest.approx(float((said.argmax(-1) == known).double().mean()))


@pytest.mark.parametrize("size", SIZES)
def test_labels(size):
    scores, labels = drawn(N, 4), (drawn(N, 4, seed=1) > 0.7).float()
    found = measured(Known(Outputs("labels"), scores, labels), size)
    for average in ("micro", "macro"):
        assert found[f"f1_{average}"] == pytest.approx(f1_score(labels, scores > 0, average=average), abs=1e-6)
    right = ((scores > 0) == (labels > 0.5)).double()
    assert found["accuracy_2"] == pytest.approx(float(right[:, 2].mean()))
    assert found["accuracy"] == pytest.approx(float(right.mean()))
    assert found["loss"] > 0
    labels[0, 1] = -100
    known = measured(Known(Outputs("labels"), scores, labels), size)
    assert known["accuracy_1"] == pytest.approx(float(right[1:, 1].mean()))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("shape", [(N,), (N, 1), (N, 2)])
def test_values(size, shape):
    outputs = drawn(*shape)
    labels = (outputs + drawn(*shape, seed=1)).squeeze(-1) if shape[-1] == 1 else outputs + drawn(*shape, seed=1)
    found = measured(Known(Outputs("values"), outputs, labels), size)
    x, y = outputs.reshape(N, -1), labels.reshape(N, -1)
    assert found["rmse"] == pytest.approx(float((x - y).double().square().mean().sqrt()), abs=1e-6)
    assert found["r2"] == pytest.approx(r2_score(y, x), abs=1e-6)
    by_value = [spearmanr(x[:, i], y[:, i]).statistic for i in range(x.shape[1])]
    assert found["spearman"] == pytest.approx(sum(by_value) / len(by_value), abs=1e-6)
    assert found["loss"] == pytest.approx(found["rmse"] ** 2, rel=1e-5)


@pytest.mark.parametrize("size", SIZES)
def test_values_agree_by_their_concordance_with_the_teachers(size):
    x = drawn(N, 2)
    task = Known(Outputs("values", mean=(0.5, -2.0), sd=(3.0, 0.1)), x, x)
    assert measured(task, size)["agreement"] == pytest.approx(1)
    shifted = measured(task, size, Applied(lambda x: x + 1))["agreement"]
    variances = x.double().var(0, correction=0)
    assert shifted == pytest.approx(float((2 * variances / (2 * variances + 1)).mean()), abs=1e-6)
    assert measured(task, size, Applied(lambda x: -x))["agreement"] < 0


def test_targets_that_are_all_alike_have_no_rank():
    found = measured(Known(Outputs("values"), drawn(N), torch.ones(N)), 16)
    assert math.isnan(found["spearman"])
    assert math.isnan(found["r2"])
    assert found["rmse"] > 0


@pytest.mark.parametrize("size", SIZES)
def test_embeddings_are_compared_with_the_teachers(size):
    torch.manual_seed(0)
    model, x = nn.Linear(6, 6), drawn(N, 6)
    task = Known(Outputs("embedding"), x)
    found = measured(task, size, model)
    with torch.no_grad():
        y = model(x).double()
    assert found["cosine"] == pytest.approx(float(nn.functional.cosine_similarity(y, x.double()).mean()), abs=1e-6)
    of_pairs = [
        nn.functional.cosine_similarity(e[:, None], e[None], dim=-1)[*torch.triu_indices(N, N, 1)]
        for e in (y, x.double())
    ]
    assert found["spearman"] == pytest.approx(spearmanr(*of_pairs).statistic, abs=1e-6)
    assert measured(task, size) == pytest.approx({"cosine": 1.0, "spearman": 1.0})


def test_embeddings_of_two_widths_are_compared_by_their_pairs():
    found = measured(Known(Outputs("embedding", same_width=False), drawn(N, 6)), 16, Wide())
    assert found.keys() == {"spearman"}
    assert 0 < found["spearman"] < 1


def test_where_features_alone_teach_there_is_nothing_to_measure_by_default():
    assert measured(Known(Outputs("none"), drawn(N, 6)), 16) == {}
