import math

import numpy as np
import pytest
import torch

from mapsearch.losses.features import attention, cosine, mse, nmse, vid


def randn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def pair(*shape):
    s, t = randn(*shape), randn(*shape, seed=1)
    return s, t, s.double().numpy(), t.double().numpy()


def test_nmse_is_the_unexplained_fraction_of_the_teachers_variance():
    s, t, a, b = pair(6, 7, 4, 3)
    variance = ((b - b.mean((0, 2, 3), keepdims=True)) ** 2).mean()
    assert float(nmse(s, t)) == pytest.approx(((a - b) ** 2).mean() / variance, rel=1e-6)
    mean = t.mean((0, 2, 3), keepdim=True).expand_as(t)
    assert float(nmse(mean, t)) == pytest.approx(1.0, rel=1e-5)  # knowing the mean alone explains nothing
    assert float(nmse(1e4 * s, 1e4 * t)) == pytest.approx(float(nmse(s, t)), rel=1e-5)


def test_mse_is_the_mean_square_in_the_teachers_unit():
    s, t, a, b = pair(6, 7, 5)
    assert float(mse(s, t)) == pytest.approx(((a - b) ** 2).mean(), rel=1e-6)
    assert float(mse(3 * s, 3 * t)) == pytest.approx(9 * float(mse(s, t)), rel=1e-5)
    assert float(mse(torch.tensor([[1.0, 2.0]]), torch.tensor([[0.0, 0.0]]))) == 2.5


def test_cosine_is_one_minus_the_mean_cosine_and_blind_to_norms():
    s, t, a, b = pair(6, 7, 5)
    expected = 1 - ((a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)).mean()
    assert float(cosine(s, t)) == pytest.approx(expected, rel=1e-5)
    assert float(cosine(5 * s, t)) == pytest.approx(expected, rel=1e-5)
    assert float(cosine(-t, t)) == pytest.approx(2.0, rel=1e-5)


def test_vid_is_the_gaussian_likelihood_but_for_a_constant():
    s, t, a, b = pair(6, 4, 5)
    log_variance, floor = randn(4, seed=2), 0.01
    unit = ((b - b.mean((0, 2), keepdims=True)) ** 2).mean()
    total = 0.0
    for c in range(4):
        v = floor + math.exp(float(log_variance[c]))
        for error in ((a - b)[:, c] ** 2 / unit).flatten():
            total += 0.5 * math.log(2 * math.pi * v) + error / (2 * v)
    constant = 0.5 * math.log(2 * math.pi * floor)
    assert float(vid(s, t, log_variance=log_variance)) == pytest.approx(total / a.size - constant, rel=1e-5)


def test_vid_learns_to_give_up_the_channel_that_cannot_be_foretold():
    torch.manual_seed(0)
    t = torch.randn(256, 2)
    s = torch.stack([t[:, 0] + 0.1 * torch.randn(256), torch.zeros(256)], 1)
    log_variance = torch.zeros(2, requires_grad=True)
    optimizer = torch.optim.Adam([log_variance], lr=0.1)
    for _ in range(300):
        optimizer.zero_grad()
        vid(s, t, log_variance=log_variance).backward()
        optimizer.step()
    foretold, lost = (0.01 + log_variance.detach().exp()).tolist()
    assert foretold < 0.02
    assert lost == pytest.approx(1.0, abs=0.15)


def test_attention_compares_where_the_energy_lies():
    s, t = randn(4, 3, 2, 2), randn(4, 9, 2, 2, seed=1)  # widths may differ
    maps = []
    for x in (s, t):
        energy = (x.double().numpy() ** 2).sum(1).reshape(4, -1)
        maps.append(energy / np.linalg.norm(energy, axis=1, keepdims=True))
    assert float(attention(s, t)) == pytest.approx(((maps[0] - maps[1]) ** 2).sum(1).mean(), rel=1e-5)
    left, right = torch.tensor([[[1.0, 0.0]]]), torch.tensor([[[0.0, 3.0]]])
    assert float(attention(left, right)) == 2.0  # nowhere the same
