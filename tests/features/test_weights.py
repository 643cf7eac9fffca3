import torch
from torch import nn

from mapsearch.features.weights import weight_problems, weights_digest


def test_a_fresh_network_has_no_problems_and_vectors_may_be_blank():
    assert weight_problems(nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))) == ()


def test_blank_and_broken_weights_are_named():
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2), nn.Linear(2, 2))
    with torch.no_grad():
        model[0].weight.zero_()
        model[1].weight.fill_(0.25)
        model[2].bias[0] = float("inf")
    parts = [("`0.weight` [4, 3]", "0 everywhere"), ("`1.weight` [2, 4]", "0.25"), ("`2.bias` [2]", "not finite")]
    for problem, (weight, what) in zip(weight_problems(model), parts, strict=True):
        assert weight in problem
        assert what in problem


def test_a_token_for_masked_inputs_may_be_blank():
    model = nn.Linear(3, 4)
    model.mask_token = nn.Parameter(torch.zeros(1, 1, 8))
    assert weight_problems(model) == ()


def test_a_single_number_is_not_blank():
    assert weight_problems(nn.Linear(1, 1)) == ()


def test_the_digest_follows_every_weight_and_buffer():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    digests = [weights_digest(model), weights_digest(model)]
    model[1].running_mean[2] += 1e-6
    digests.append(weights_digest(model))
    digests.append(weights_digest(model.bfloat16()))
    assert digests[0] == digests[1]
    assert len(set(digests)) == 3
