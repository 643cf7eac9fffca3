import random

import pytest
import torch
from findings import codes, message
from torch.utils.data import IterableDataset

from mapsearch.check import check


class Drawn(IterableDataset):
    """An endless stream of pictures and classes from a generator of its own, or the global one."""

    def __init__(self, draw):
        self.draw = draw

    def __iter__(self):
        while True:
            number = self.draw()
            yield torch.full((1, 6, 6), number) + torch.eye(6), int(8 * number) % 2


class Fixed(IterableDataset):
    def __iter__(self):
        numbers = random.Random(0)
        return ((torch.full((1, 6, 6), numbers.random()) + torch.eye(6), i % 2) for i in range(600))


@pytest.mark.parametrize(
    ("stream", "level", "code", "words"),
    [
        (Drawn(random.Random(0).random), "warning", "data.stream_varies", "`set_epoch"),
        (Drawn(random.random), "ok", "data.stream_seeded", "follows the seed"),
        (Fixed(), "ok", "data.stream_fixed", "same for every seed"),
    ],
)
def test_whether_a_stream_gives_the_same_again_is_found(vision, study, stream, level, code, words):
    report = check(vision(train=stream), study())
    assert code in codes(report, level)
    assert words in message(report, code)
    assert "train_data a stream" in message(report, "data.sizes")
    assert not report.errors
