import pytest
import torch

from mapsearch.core.outputs import Outputs
from mapsearch.tasks.alignment import aligned


@pytest.mark.parametrize(
    ("form", "outputs", "labels", "shapes"),
    [
        (Outputs(), (4, 3), (4,), [(4, 3), (4,)]),
        (Outputs(), (4, 7, 3), (4, 7), [(4, 7, 3), (4, 7)]),
        (Outputs(class_axis=-3), (4, 3, 5, 6), (4, 5, 6), [(4, 5, 6, 3), (4, 5, 6)]),
        (Outputs(class_axis=-2), (4, 3, 7), (4, 7), [(4, 7, 3), (4, 7)]),
        (Outputs(class_axis=-3), (4, 3, 5, 6), (4, 20, 24), [(4, 20, 24, 3), (4, 20, 24)]),  # a fourth as fine
        (Outputs(class_axis=-3), (4, 3, 5, 6), (4, 20, 18), [(4, 5, 6, 3), (4, 20, 18)]),  # of another picture
        (Outputs(next_token=True), (4, 7, 3), (4, 7), [(4, 6, 3), (4, 6)]),
        (Outputs("labels"), (4, 6), (4, 6), [(4, 6), (4, 6)]),
        (Outputs("labels"), (4,), (4,), [(4, 1), (4, 1)]),
        (Outputs("values"), (4, 1), (4,), [(4, 1), (4, 1)]),
        (Outputs("values"), (4,), (4, 1), [(4, 1), (4, 1)]),
        (Outputs("values", class_axis=-3), (4, 2, 5, 6), (4, 2, 5, 6), [(4, 5, 6, 2), (4, 5, 6, 2)]),
        (Outputs("values", class_axis=-3), (4, 1, 5, 6), (4, 5, 6), [(4, 5, 6, 1), (4, 5, 6, 1)]),
    ],
)
def test_outputs_stand_beside_their_labels(form, outputs, labels, shapes):
    assert [tuple(x.shape) for x in aligned(form, torch.zeros(outputs), torch.zeros(labels))] == shapes


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64, torch.bool])
def test_labels_of_padded_tokens_are_none(dtype):
    real, labels = torch.tensor([[True, True, False]]), torch.ones(1, 3).to(dtype)
    assert aligned(Outputs(), torch.zeros(1, 3, 2), labels, real)[1].tolist() == [[1, 1, -100]]
    assert aligned(Outputs(), torch.zeros(1, 3, 2), labels, {"outputs": ~real})[1].tolist() == [[-100, -100, 1]]
    of_the_sample = aligned(Outputs("labels"), torch.zeros(1, 3), labels, real)[1]
    assert of_the_sample.tolist() == [[1, 1, 1]], "three labels, not of three tokens"


def test_the_output_at_a_token_is_held_against_the_next_one():
    ids = torch.tensor([[3, 1, 2, 0]])
    outputs, labels = aligned(Outputs(next_token=True), torch.eye(4)[ids], ids)
    assert labels.tolist() == [[1, 2, 0]]
    assert outputs.argmax(-1).tolist() == [[3, 1, 2]]
