import torch
from hypothesis import given
from hypothesis import strategies as st

from mapsearch.similarity.joining import in_blocks
from mapsearch.tasks.nested import batch_size


def test_batches_of_one_are_joined_and_large_ones_left_alone():
    x = torch.arange(150.0).view(150, 1)
    assert [len(batch) for batch in in_blocks([*x[:70].split(1), x[70:]])] == [64, 80, 6]
    assert [len(batch) for batch in in_blocks(x[:70].split(1))] == [64, 6]


def test_samples_of_other_shapes_are_not_joined():
    sizes = [torch.zeros(1, 3, k, k) for k in (8, 8, 12, 12, 8)]
    assert [tuple(batch.shape) for batch in in_blocks(sizes)] == [(2, 3, 8, 8), (2, 3, 12, 12), (1, 3, 8, 8)]


def test_every_item_of_a_batch_is_joined():
    batches = [{"ids": torch.full((1, 4), i), "pair": (torch.tensor([i]), "name")} for i in range(5)]
    (whole,) = in_blocks(batches)
    assert whole["ids"][:, 0].tolist() == whole["pair"][0].tolist() == [0, 1, 2, 3, 4]
    assert whole["pair"][1] == "name"


@given(st.lists(st.integers(1, 9), max_size=40))
def test_no_sample_is_lost(sizes):
    rows = torch.arange(float(sum(sizes))).view(-1, 1)
    blocks = [*in_blocks(rows.split(sizes) if sizes else [])]
    assert sorted(x for block in blocks for x in block.flatten().tolist()) == rows.flatten().tolist()
    assert sum(map(batch_size, blocks)) == len(rows)
