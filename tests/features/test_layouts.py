import pytest
import torch

from mapsearch.features.layouts import in_batch_first, layout_of
from mapsearch.features.taps import FeatureTaps


@pytest.mark.parametrize(
    ("shape", "other", "layout"),
    [
        ((8, 5, 3), (4, 5, 3), None),
        ((5, 8, 3), (5, 4, 3), "sequence_first"),
        ((8, 8, 3), (8, 4, 3), "sequence_first"),  # as long as the larger batch, by chance
        ((4, 8, 3), (4, 4, 3), "sequence_first"),  # as long as the smaller one
        ((24, 5, 3), (12, 5, 3), "3_per_sample"),
        ((24, 3), (12, 3), "3_per_sample"),
        ((24, 3, 6, 6), (12, 3, 6, 6), "3_per_sample"),
        ((24, 3, 6, 6, 6), (12, 3, 6, 6, 6), None),
        ((7, 3), (7, 3), None),
        ((7,), (7, 3), None),
        ((), (), None),
    ],
)
def test_two_batches_show_where_the_samples_are(shape, other, layout):
    assert layout_of(shape, 8, other, 4) == layout


def test_features_are_read_with_the_batch_first():
    x = torch.arange(4 * 3 * 2).view(4, 3, 2)
    assert torch.equal(in_batch_first(x, "sequence_first")[1], x[:, 1])
    assert torch.equal(in_batch_first(x, "2_per_sample")[1], torch.cat([x[2], x[3]]))
    assert torch.equal(in_batch_first(x[:, 0], "2_per_sample")[1], x[2:, 0])
    images = torch.arange(4 * 3 * 2 * 2).view(4, 3, 2, 2)
    assert torch.equal(in_batch_first(images, "2_per_sample")[1, :, 0], images[2])


def test_taps_read_a_layer_in_its_layout():
    lstm = torch.nn.LSTM(3, 2)
    x = torch.randn(5, 4, 3)
    model = torch.nn.ModuleDict({"lstm": lstm})
    with FeatureTaps(model, ["lstm@sequence_first", "lstm[0]"]) as taps:
        lstm(x)
        features = taps.take()
    assert features["lstm@sequence_first"].shape == (4, 5, 2)
    assert torch.equal(features["lstm@sequence_first"], features["lstm[0]"].transpose(0, 1))
