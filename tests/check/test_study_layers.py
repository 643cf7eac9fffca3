"""Layers whose first axis is not the batch: two batches find them, and values show that the samples are in order."""

import pytest
import torch
from small_tasks import Clusters, load
from torch import Tensor, nn
from torch.utils.data import TensorDataset

from mapsearch.check.study_layers import study_layers
from mapsearch.core.errors import LayerNotFound
from mapsearch.features.trunk import find_trunk
from mapsearch.tasks.batches import collated

LENGTH = 8


class Sequences(nn.Module):
    """Blocks that work on `[L, B, D]`."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(3, 16)
        self.blocks = nn.ModuleList(nn.TransformerEncoderLayer(16, 2, 32, dropout=0.0) for _ in range(2))
        self.head = nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x).transpose(0, 1)
        for block in self.blocks:
            x = block(x)
        return self.head(x.mean(0))


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.linear(x))


class Views(nn.Module):
    """Blocks that see every position of a sample as a sample: one sample after the other, or one view after the other.

    So do multiple choice, and contrastive networks that append a second view of the batch to the first.
    """

    def __init__(self, in_order: bool) -> None:
        super().__init__()
        self.in_order = in_order
        self.blocks = nn.ModuleList(Block() for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        rows = x.flatten(0, 1) if self.in_order else x.transpose(0, 1).flatten(0, 1)
        for block in self.blocks:
            rows = block(rows)
        by_sample = rows.view(*x.shape) if self.in_order else rows.view(LENGTH, len(x), 3).transpose(0, 1)
        return by_sample.mean(1)


class Given(Clusters):
    """Any network on sequences `[L, 3]`."""

    def __init__(self, make) -> None:
        self.make = make

    def teacher(self) -> nn.Module:
        return self.make()

    student = teacher

    def train_data(self):
        return TensorDataset(
            torch.randn(64, LENGTH, 3, generator=torch.Generator().manual_seed(0)), torch.arange(64) % 3
        )

    valid_data = test_data = train_data


def layers(make, n):
    loaded = load(Given(make))
    batch = collated(loaded, loaded.train, range(n))
    return find_trunk("teacher", loaded.teacher, study_layers(loaded, "float32", loaded.teacher, batch, {}))


@pytest.mark.parametrize("n", [LENGTH, 2 * LENGTH, 10])  # as long as the larger batch, the smaller one, or neither
def test_sequences_first_are_read_as_tokens(n):
    found = layers(Sequences, n)
    assert not found.note
    assert [layer.path for layer in found.layers] == ["blocks.0@sequence_first", "blocks.1@sequence_first"]
    assert {(layer.kind, layer.shape) for layer in found.layers} == {("tokens", (LENGTH, 16))}


def test_several_rows_per_sample_are_its_tokens():
    found = layers(lambda: Views(in_order=True), 6)
    assert [layer.path for layer in found.layers] == [f"blocks.{i}@8_per_sample" for i in range(2)]
    assert {(layer.kind, layer.shape) for layer in found.layers} == {("tokens", (LENGTH, 3))}


def test_rows_in_another_order_than_the_samples_are_never_believed():
    with pytest.raises(LayerNotFound, match="first axis must be the batch of 6"):
        layers(lambda: Views(in_order=False), 6)


class Tokens(nn.Module):
    """A vision transformer in small: `n_leading` tokens before 4 x 6 patches of an image of 8 x 12."""

    def __init__(self, n_leading: int) -> None:
        super().__init__()
        self.leading = nn.Parameter(torch.randn(1, n_leading, 16))
        self.patches = nn.Conv2d(1, 16, 2, 2)
        self.blocks = nn.ModuleList(nn.TransformerEncoderLayer(16, 2, 32, 0.0, batch_first=True) for _ in range(2))
        self.head = nn.Linear(16, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.cat([self.leading.expand(len(x), -1, -1), self.patches(x).flatten(2).mT], 1)
        for block in self.blocks:
            x = block(x)
        return self.head(x[:, 0])


class Images(Given):
    def train_data(self):
        images = torch.randn(64, 1, 8, 12, generator=torch.Generator().manual_seed(0))
        return TensorDataset(images, torch.arange(64) % 3)

    valid_data = test_data = train_data


@pytest.mark.parametrize("n_leading", [1, 5])
def test_the_patches_among_the_tokens_of_an_image_are_known(n_leading):
    loaded = load(Images(lambda: Tokens(n_leading)))
    batch = collated(loaded, loaded.train, range(6))
    found = study_layers(loaded, "float32", loaded.teacher, batch, {})
    blocks = [layer for layer in found if layer.path in ("blocks.0", "blocks.1")]
    assert {(layer.positions, layer.patches) for layer in blocks} == {((24 + n_leading,), (4, 6))}


def test_tokens_of_a_sequence_are_no_patches():
    assert all(layer.patches is None for layer in layers(Sequences, 6).layers)
