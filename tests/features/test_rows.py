import torch

from mapsearch.features.rows import rows


def test_vectors_stay_and_maps_are_flattened():
    assert rows(torch.ones(4, 3), "vector", None).shape == (4, 3)
    assert rows(torch.ones(4, 3, 2, 2), "map", None).shape == (4, 12)


def test_tokens_are_averaged_over_real_positions_whatever_the_padding_holds():
    tokens = torch.tensor([[[1.0], [3.0], [float("nan")]], [[2.0], [4.0], [6.0]]])
    mask = torch.tensor([[True, True, False], [True, True, True]])
    assert rows(tokens, "tokens", mask).tolist() == [[2.0], [4.0]]


def test_without_a_mask_all_positions_are_real():
    assert rows(torch.tensor([[[1.0], [3.0]]]), "tokens", None).tolist() == [[2.0]]
