import pytest
import torch
import torch.nn.functional as F

from mapsearch.tasks.default_losses import default_metrics, is_unlabelled, loss_per_label


def randn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_classes_have_cross_entropy_and_no_loss_where_unlabelled():
    scores, labels = randn(2, 5, 3), torch.tensor([[0, 1, -100, 2, 0], [2, -100, 1, 1, 0]])
    found = loss_per_label("classes", scores, labels)
    expected = F.cross_entropy(scores.flatten(0, 1), labels.flatten(), ignore_index=-100, reduction="none")
    assert torch.allclose(found.flatten(), expected)


def test_shares_of_classes_have_cross_entropy_too():
    scores, shares = randn(6, 3), randn(6, 3, seed=1).softmax(-1)
    assert torch.allclose(loss_per_label("classes", scores, shares).mean(), F.cross_entropy(scores, shares))


def test_labels_have_binary_cross_entropy_each_and_none_where_unlabelled():
    scores, labels = randn(6, 4), (randn(6, 4, seed=1) > 0).float()
    assert torch.allclose(
        loss_per_label("labels", scores, labels).mean(), F.binary_cross_entropy_with_logits(scores, labels)
    )
    labels[0, 0] = -100
    assert loss_per_label("labels", scores, labels)[0, 0] == 0


def test_values_may_be_any_number():
    values = torch.tensor([[-100.0], [2.0]])
    assert loss_per_label("values", values + 1, values).tolist() == [[1.0], [1.0]]
    assert not is_unlabelled("values", values).any()


@pytest.mark.parametrize("kind", ["classes", "labels"])
def test_metrics_leave_unlabelled_samples_out(kind):
    scores = torch.tensor([[2.0, -1.0], [-1.0, 2.0], [3.0, -3.0]])
    labels = torch.tensor([0, 0, -100]) if kind == "classes" else torch.tensor([[1.0, 0], [1, 1], [-100, -100]])
    metrics = default_metrics(kind, scores, labels)
    assert metrics["accuracy"].nanmean() == (0.5 if kind == "classes" else 0.75)
    assert metrics["loss"].isnan().sum() == metrics["accuracy"].isnan().sum() > 0


def test_values_are_measured_by_their_errors():
    metrics = default_metrics("values", torch.tensor([[1.0], [4.0]]), torch.tensor([[0.0], [1.0]]))
    assert metrics["absolute_error"].flatten().tolist() == [1.0, 3.0]
    assert metrics["loss"].flatten().tolist() == [1.0, 9.0]


def test_a_loss_that_is_no_number_is_infinite():
    metrics = default_metrics("classes", torch.tensor([[torch.nan, 0.0]]), torch.tensor([1]))
    assert metrics["loss"].tolist() == [torch.inf]
