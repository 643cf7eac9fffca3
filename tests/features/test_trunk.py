"""`auto` on networks as people bring them: it takes the blocks, or says why it does not."""

from itertools import pairwise

import pytest
import torch
from torch import nn
from transformers import (
    AlbertConfig,
    AlbertForSequenceClassification,
    AlbertModel,
    BartConfig,
    BartModel,
    BertConfig,
    BertModel,
    DistilBertConfig,
    DistilBertModel,
)

from mapsearch.core.errors import LayerNotFound
from mapsearch.features.layers import list_layers, probed_twice
from mapsearch.features.trunk import find_trunk

SMALL = {"vocab_size": 30, "hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 32}
IDS = torch.arange(24).view(4, 6)


def trunk(model, batch, network="teacher", n_others=2):
    """As a study finds it: with a batch, and with a smaller one."""
    layers = list_layers(model, lambda m: m(batch), len(batch))
    others = list_layers(model, lambda m: m(batch[:n_others]), n_others)
    return find_trunk(network, model, probed_twice(layers, others, len(batch), n_others))


@pytest.mark.parametrize(
    ("model", "prefix"),
    [
        (BertModel(BertConfig(num_hidden_layers=6, **SMALL), add_pooling_layer=False), "encoder.layer"),
        (BertModel(BertConfig(num_hidden_layers=6, **SMALL)), "encoder.layer"),
        (DistilBertModel(DistilBertConfig(vocab_size=30, dim=16, n_heads=2, hidden_dim=32)), "transformer.layer"),
    ],
)
def test_a_model_without_a_head_keeps_its_last_block(model, prefix):
    found = trunk(model, IDS)
    assert [layer.path for layer in found.layers] == [f"{prefix}.{i}" for i in range(6)]
    assert found.note == ""


@pytest.mark.parametrize("auto_model", [AlbertModel, AlbertForSequenceClassification])
def test_the_calls_of_a_shared_block_are_blocks(auto_model):
    found = trunk(auto_model(AlbertConfig(num_hidden_layers=6, embedding_size=8, **SMALL)), IDS)
    assert [layer.type for layer in found.layers] == ["AlbertLayer"] * 6
    assert [layer.path.rpartition("#")[2] for layer in found.layers] == ["0", "1", "2", "3", "4", "5"]
    assert found.note == ""


@pytest.mark.parametrize(("n_read", "n_written"), [(3, 3), (4, 1), (1, 4)])
def test_an_encoder_and_its_decoder_both_take_part_whatever_their_depths(n_read, n_written):
    sizes = {"encoder_ffn_dim": 32, "decoder_ffn_dim": 32, "encoder_attention_heads": 2, "decoder_attention_heads": 2}
    depths = {"encoder_layers": n_read, "decoder_layers": n_written}
    model = BartModel(BartConfig(vocab_size=30, d_model=16, max_position_embeddings=16, **sizes, **depths))
    expected = [f"encoder.layers.{i}" for i in range(n_read)] + [f"decoder.layers.{i}" for i in range(n_written)]
    assert [layer.path for layer in trunk(model, IDS).layers] == expected


class SequenceFirst(nn.Module):
    """Works on `[L, B, D]` inside, `[B, L, D]` outside."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Linear(3, 16)
        self.blocks = nn.ModuleList(nn.TransformerEncoderLayer(16, 2, 32, dropout=0.0) for _ in range(4))
        self.head = nn.Linear(16, 5)

    def forward(self, x):
        x = self.embed(x).transpose(0, 1)
        for block in self.blocks:
            x = block(x)
        return self.head(x.mean(0))


@pytest.mark.parametrize("length", [4, 7])
def test_blocks_with_the_sequence_first_are_found_out_even_where_it_is_as_long_as_the_batch(length):
    found = trunk(SequenceFirst(), torch.randn(4, length, 3))
    assert "4 repeated TransformerEncoderLayer blocks" in found.note
    assert "first axis must be the batch" in found.note
    assert not any(layer.path.startswith("blocks.") for layer in found.layers)


class Block(nn.Module):
    def __init__(self, n_in, n_out):
        super().__init__()
        self.linear = nn.Linear(n_in, n_out)

    def forward(self, x):
        return torch.relu(self.linear(x))


class Blocks(nn.Module):
    def __init__(self, *widths):
        super().__init__()
        self.blocks = nn.ModuleList(Block(a, b) for a, b in pairwise(widths))

    def forward(self, x):
        for block in self.blocks:
            x = block(x)
        return x


def stage(n_in, n_out):
    return nn.Sequential(nn.Linear(n_in, n_out), nn.ReLU())


class Stages(nn.Module):
    def __init__(self, holder):
        super().__init__()
        self.stem = nn.Linear(3, 8)
        self.body = holder([stage(8, 8), stage(8, 8)])
        self.head = nn.Linear(8, 2)

    def forward(self, x):
        x = self.stem(x)
        for part in self.body:
            x = part(x)
        return self.head(x)


@pytest.mark.parametrize("holder", [nn.ModuleList, lambda stages: nn.Sequential(*stages)])
def test_two_containers_inside_one_are_blocks(holder):
    assert [layer.path for layer in trunk(Stages(holder), torch.randn(4, 3)).layers] == ["body.0", "body.1"]


def test_two_containers_that_none_holds_are_trunk_and_head():
    model = nn.Sequential(nn.Sequential(*(nn.Linear(8, 8) for _ in range(3))), nn.Sequential(nn.Linear(8, 2)))
    assert [layer.path for layer in trunk(model, torch.randn(4, 8)).layers] == ["0.0", "0.1", "0.2"]


def test_a_head_of_the_blocks_class_is_left_out():
    assert len(trunk(Blocks(8, 16, 16, 16, 3), torch.randn(4, 8)).layers) == 3
    assert len(trunk(Blocks(8, 16, 16, 16, 16), torch.randn(4, 8)).layers) == 4


def test_a_traced_network_says_that_its_blocks_never_run():
    traced = torch.fx.symbolic_trace(Blocks(8, 16, 16, 16, 16))
    assert "traced by torch.fx" in trunk(traced, torch.randn(4, 8)).note


def test_frozen_layers_of_a_student_are_left_out():
    model = Blocks(8, 16, 16, 16, 16)
    model.blocks[0].requires_grad_(False)
    batch = torch.randn(4, 8)
    assert [layer.path for layer in trunk(model, batch, "student").layers] == ["blocks.1", "blocks.2", "blocks.3"]
    assert len(trunk(model, batch, "teacher").layers) == 4
    model.blocks[2].requires_grad_(False)  # what lies before it still learns through it
    assert len(trunk(model, batch, "student").layers) == 3


def test_nothing_usable_is_an_error():
    with pytest.raises(LayerNotFound, match="no usable layer"):
        trunk(nn.Sequential(nn.Linear(3, 3)), torch.randn(4, 3))
