"""Images of varying size, whole batches of one size each."""

import pytest
import torch
from torch import nn

from mapsearch import compare


def network(width, depth):
    torch.manual_seed(width)
    convolutions = (nn.Conv2d(width if i else 3, width, 3, padding=1) for i in range(depth))
    blocks = (nn.Sequential(convolution, nn.ReLU()) for convolution in convolutions)
    return nn.Sequential(*blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 5))


def notes(sizes, maps):
    torch.manual_seed(0)
    batches = [torch.randn(32, 3, size, size) for size in sizes]
    return " ".join(compare(network(16, 4), network(8, 2), batches, maps=maps).notes)


@pytest.mark.parametrize(
    ("sizes", "maps", "told"),
    [
        ((12, 16, 20), "flatten", True),
        ((12, 12, 12), "flatten", False),
        ((12, 16, 20), "mean", False),
        ((12, 16, 20), "grid", False),
    ],
)
def test_flattened_maps_of_several_sizes_are_noted_with_the_way_out(sizes, maps, told):
    assert ("`maps: mean` or `maps: grid`" in notes(sizes, maps)) == told
