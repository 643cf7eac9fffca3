import pytest
import torch
from small_tasks import Clusters

from mapsearch.core.errors import TaskError
from mapsearch.core.outputs import Outputs
from mapsearch.tasks.outputs import matched_outputs


@pytest.mark.parametrize("shape", [(4, 3), (4, 7, 3)])
def test_class_scores_are_matched(shape):
    scores = torch.zeros(shape)
    assert torch.equal(matched_outputs(Clusters(), {"logits": scores}), scores)


@pytest.mark.parametrize(
    ("output", "said"),
    [
        (torch.zeros(4, 1), r"got \[4, 1\]"),
        (torch.zeros(4), r"got \[4\]"),
        (torch.zeros(4, 3).long(), "before any argmax"),
        (("text",), "got str"),
        ((None, torch.zeros(4)), "got NoneType"),
    ],
)
def test_other_outputs_are_refused_with_what_is_needed(output, said):
    with pytest.raises(TaskError, match=said):
        matched_outputs(Clusters(), output)


def test_one_number_is_no_classes_and_the_other_kinds_are_named():
    with pytest.raises(TaskError, match=r"labels, values, embedding or none"):
        matched_outputs(Clusters(), torch.zeros(4, 1))


def test_classes_come_last():
    task, scores = Clusters(), torch.randn(2, 3, 5, 6)
    task.output_form = Outputs("classes", class_axis=-3)
    assert torch.equal(matched_outputs(task, scores), scores.permute(0, 2, 3, 1))


def test_values_are_standardised_and_a_lone_one_has_an_axis():
    task, values = Clusters(), torch.tensor([3.0, 5.0])
    task.output_form = Outputs("values", mean=(3.0,), sd=(2.0,))
    assert matched_outputs(task, values).tolist() == [[0.0], [1.0]]


def test_where_features_alone_are_matched_there_is_nothing():
    task = Clusters()
    task.output_form = Outputs("none")
    assert matched_outputs(task, "whatever") is None
