"""A network is measured as a study would measure it, in a script or in the middle of a loop."""

import random
from dataclasses import replace

import numpy as np
import pytest
import torch
from small_tasks import Clusters
from torch import nn
from torch.utils.data import TensorDataset

import mapsearch
from mapsearch.core.train_spec import TrainSpec
from mapsearch.exports.inlined.distilled import measured
from mapsearch.tasks.evaluation import evaluate
from mapsearch.tasks.loading import open_task


class NoTest(Clusters):
    def test_data(self):
        return None


class Numbers(Clusters):
    """Values `[B]`: their metrics are no means over samples."""

    def __init__(self):
        super().__init__()
        self.output_form = replace(self.output_form, kind="values")

    def teacher(self):
        return nn.Sequential(nn.Linear(4, 1), nn.Flatten(0))

    student = teacher

    def train_data(self):
        x = torch.randn(64, 4, generator=torch.Generator().manual_seed(0))
        return TensorDataset(x, x.sum(1))

    valid_data = test_data = train_data


class Embedded(Numbers):
    """Without a metric of its own, and without labels."""

    def __init__(self):
        super().__init__()
        self.output_form = replace(self.output_form, kind="embedding")

    def teacher(self):
        return nn.Linear(4, 3)

    student = teacher

    def loss(self, output, batch):
        return None


@pytest.mark.parametrize(
    ("task", "some"),
    [
        (Clusters, {"accuracy", "loss", "agreement"}),
        (NoTest, {"accuracy", "loss", "agreement"}),
        (Numbers, {"rmse", "r2", "spearman"}),
        (Embedded, {"cosine", "spearman"}),
    ],
)
def test_it_is_measured_like_in_a_study_on_the_data_of_the_verdict(task, some):
    loaded = open_task(task(), "cpu")
    torch.manual_seed(0)
    student = task().student()
    told = mapsearch.evaluate(loaded.task, student, batch_size=16)
    assert told.keys() >= some
    (wanted,) = evaluate(loaded, [student], loaded.test, TrainSpec())
    assert told == pytest.approx(wanted, nan_ok=True)
    assert measured(loaded.task, student, 16) == pytest.approx(told, nan_ok=True), "in an exported script"


def test_a_loop_goes_on_as_if_nothing_had_been_measured():
    task = Clusters()
    student = task.student()
    drawn = []
    for between in (lambda: None, lambda: mapsearch.evaluate(task, student)):
        torch.manual_seed(1), np.random.seed(1), random.seed(1)
        between()
        drawn.append((torch.rand(1).item(), np.random.rand(), random.random()))
    assert drawn[0] == drawn[1]
    assert student.training
