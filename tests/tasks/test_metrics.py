import pytest
import torch
from small_tasks import Clusters

from mapsearch.core.errors import TaskError
from mapsearch.tasks.metrics import MeanMetrics, has_nan


def accumulated(*measured):
    given = iter(measured)
    task = Clusters()
    task.metrics = lambda output, batch: next(given)
    means = MeanMetrics(task)
    for value in measured:
        n = len(value["accuracy"]) if isinstance(value, dict) and "accuracy" in value else 4
        means.update(None, torch.zeros(n))
    return means.compute()


def test_unlabelled_samples_do_not_count():
    metrics = accumulated(
        {"accuracy": torch.tensor([1.0, torch.nan, 0.0, 1.0])}, {"accuracy": torch.tensor([torch.nan, torch.nan])}
    )
    assert metrics == {"accuracy": pytest.approx(2 / 3)}


def test_plain_numbers_are_weighted_by_the_size_of_their_batch():
    full, half = {"accuracy": torch.zeros(4), "n": 1.0}, {"accuracy": torch.zeros(2), "n": 4.0}
    assert accumulated(full, half)["n"] == 2.0


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
