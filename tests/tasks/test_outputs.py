import pytest
import torch
from small_tasks import Clusters

from mapsearch.core.errors import TaskError
from mapsearch.tasks.outputs import matched_outputs


@pytest.mark.parametrize("shape", [(4, 3), (4, 7, 3)])
def test_class_scores_are_matched(shape):
    scores = torch.zeros(shape)
    assert matched_outputs(Clusters(), {"logits": scores}) is scores


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


def test_one_yes_or_no_output_is_told_how_to_become_two_classes():
    with pytest.raises(TaskError, match=r"torch\.stack"):
        matched_outputs(Clusters(), torch.zeros(4, 1))
