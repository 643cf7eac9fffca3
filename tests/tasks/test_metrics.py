import itertools
import math

import pytest
import torch
from small_tasks import Clusters, load

from mapsearch.core.errors import TaskError
from mapsearch.tasks.metrics import SampleMetrics, has_nan
from mapsearch.tasks.seen import Seen


def accumulated(*measured, labels=()):
    """The means of what `metrics` gives for each batch, of four samples where no labels are given."""
    values, task = iter(measured), Clusters()
    task.metrics = lambda output, batch: next(values)
    means, loaded = SampleMetrics(task), load(Clusters())
    for _, known in itertools.zip_longest(measured, labels, fillvalue=torch.zeros(4, dtype=torch.long)):
        means.update(Seen(loaded, None, (torch.zeros(len(known), 1), known), None, None))
    return means.compute()


def test_unlabelled_samples_do_not_count():
    first, second = torch.tensor([1.0, torch.nan, 0.0, 1.0]), torch.tensor([torch.nan, torch.nan])
    labels = (torch.tensor([0, -100, 0, 0]), torch.tensor([-100, -100]))
    assert accumulated({"accuracy": first}, {"accuracy": second}, labels=labels) == {"accuracy": pytest.approx(2 / 3)}


@pytest.mark.parametrize(
    "labels",
    [
        torch.tensor([[0, 1, -100], [0, 1, 2]]),  # position by position
        torch.tensor([[9, 0, 1, -100], [9, 0, 1, 2]]),  # of a next-token task: one label more than positions
        torch.tensor([[0.0, 1.0, torch.nan], [0.0, 1.0, 2.0]]),
    ],
)
def test_positions_without_a_label_do_not_count(labels):
    values = torch.tensor([[1.0, 0.0, torch.nan], [1.0, 0.0, 0.0]])
    assert accumulated({"right": values}, labels=(labels,)) == {"right": pytest.approx(2 / 5)}
    values[0, 1] = torch.nan
    assert math.isnan(accumulated({"right": values}, labels=(labels,))["right"])


def test_a_sample_is_unlabelled_when_all_its_labels_are():
    values, labels = torch.tensor([torch.nan, 1.0]), torch.tensor([[-100, -100], [1, -100]])
    assert accumulated({"f1": values}, labels=(labels,)) == {"f1": 1.0}
    assert math.isnan(accumulated({"f1": values}, labels=(labels.flip(0),))["f1"])


def test_plain_numbers_are_weighted_by_the_size_of_their_batch():
    labels = (torch.zeros(4, dtype=torch.long), torch.zeros(2, dtype=torch.long))
    assert accumulated({"n": 1.0}, {"n": 4.0}, labels=labels)["n"] == 2.0


@pytest.mark.parametrize("metrics", [3.0, {}, None])
def test_metrics_that_are_not_a_dict_are_refused(metrics):
    with pytest.raises(TaskError, match=r"`metrics\(\)` must return a dict"):
        accumulated(metrics)


@pytest.mark.parametrize("value", ["good", None, {"a": 1}])
def test_a_metric_that_is_not_a_number_is_refused_by_name(value):
    with pytest.raises(TaskError, match=r"`f1` must be a number or a tensor"):
        accumulated({"f1": value})


X = torch.zeros(2, 5)


@pytest.mark.parametrize(
    ("labels", "broken"),
    [
        (torch.tensor([1, 1]), True),
        (torch.tensor([1, -100]), False),
        (torch.tensor([[0, 0, 0], [0, -100, 0]]), False),
        (torch.tensor([[0, 0, 0], [0, 0, -100]]), True),
        (torch.tensor([1.0, 2.0]), True),  # no classes
        (None, True),
    ],
)
def test_nan_counts_where_there_is_a_label(labels, broken):
    scores = torch.zeros(2, 3, 4)
    scores[1, 1, 2] = torch.nan
    assert has_nan(Clusters(), {"logits": (scores,)}, (X, labels)) is broken
    assert not has_nan(Clusters(), {"logits": torch.zeros(2, 3), "n": torch.tensor(1)}, (X, labels))
