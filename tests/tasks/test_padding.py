import pytest
import torch

from mapsearch.tasks.padding import padding_share

PADDED = torch.tensor([[5, 6, 7, 0], [8, 0, 0, 0], [5, 9, 0, 0], [5, 6, 7, 8]])


@pytest.mark.parametrize(
    "batch",
    [
        (PADDED, torch.zeros(4)), {"input_ids": PADDED, "labels": torch.zeros(4).long()}, PADDED, PADDED.int(),
        PADDED.flip(1), {"values": torch.zeros(4, 4), "input_ids": PADDED},
    ],
)  # fmt: skip
def test_padding_is_found_at_either_end_of_every_kind_of_batch(batch):
    assert padding_share(batch) == 6 / 16


@pytest.mark.parametrize(
    "ids",
    [
        torch.tensor([[5, 6, 7, 8], [8, 7, 6, 5]]),
        torch.tensor([[5, 6, 0, 0], [8, 9, 0, 0]]),  # all of one length: nothing to tell it from an end mark
        torch.tensor([[5, 6, 7, 2], [8, 9, 3, 2], [8, 9, 3, 4]]),  # one id at the end
        torch.tensor([[0, 6, 0, 0], [8, 9, 4, 0], [1, 2, 3, 4]]),  # stands elsewhere too: a word like others
        torch.tensor([[5, 6, 0, 0], [8, 9, 4, 3]]),  # in one row only
        torch.zeros(4, 4),
        torch.tensor([5, 0, 0, 0]),
    ],
)
def test_what_is_no_padding(ids):
    assert padding_share(ids) == 0.0


def test_labels_are_not_looked_at():
    assert padding_share({"x": torch.zeros(4, 4), "labels": PADDED}) == 0.0
