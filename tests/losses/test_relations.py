"""Values by loops in float64, written from the papers' formulas, and numbers worked out by hand."""

import math
from itertools import combinations, permutations

import numpy as np
import pytest
import torch

from mapsearch.losses.relations import cka, gram, pkt, relational_angle, relational_distance

SHAPES = {"vectors": ((7, 4), (7, 6)), "maps": ((7, 2, 3, 3), (7, 5, 2, 2)), "tokens": ((7, 4, 5), (7, 6, 5))}
both = pytest.mark.parametrize("shapes", SHAPES.values(), ids=SHAPES)


def randn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def pair(shapes):
    """Features, and the same as one row per sample in float64: maps flattened, sequences averaged."""
    found = [randn(*shape, seed=seed) for seed, shape in enumerate(shapes)]
    rows = [x.double().numpy() for x in found]
    return *found, *(x.mean(2) if x.ndim == 3 else x.reshape(len(x), -1) for x in rows)


def huber(x):
    return 0.5 * x**2 if abs(x) <= 1 else abs(x) - 0.5


def angle(rows, i, j, k):
    e, f = rows[i] - rows[j], rows[k] - rows[j]
    return float(e @ f / np.linalg.norm(e) / np.linalg.norm(f))


@both
def test_gram_is_tungs_times_the_batch(shapes):
    s, t, a, b = pair(shapes)
    n = len(a)
    grams = []
    for rows in (a, b):
        q = np.array([[rows[i] @ rows[j] for j in range(n)] for i in range(n)])
        grams.append(np.array([q[i] / np.linalg.norm(q[i]) for i in range(n)]))
    paper = np.linalg.norm(grams[0] - grams[1]) ** 2 / n**2
    assert float(gram(s, t)) == pytest.approx(n * paper, rel=1e-5)


@both
def test_relational_distance_is_parks(shapes):
    s, t, a, b = pair(shapes)
    distances = []
    for rows in (a, b):
        d = {(i, j): np.linalg.norm(rows[i] - rows[j]) for i, j in permutations(range(len(a)), 2)}
        distances.append({ij: value / np.mean(list(d.values())) for ij, value in d.items()})
    expected = np.mean([huber(distances[0][ij] - distances[1][ij]) for ij in distances[0]])
    assert float(relational_distance(s, t)) == pytest.approx(expected, rel=1e-4)


@both
def test_relational_angle_is_parks(shapes):
    s, t, a, b = pair(shapes)
    triples = list(permutations(range(len(a)), 3))
    expected = np.mean([huber(angle(a, *triple) - angle(b, *triple)) for triple in triples])
    assert float(relational_angle(s, t)) == pytest.approx(expected, rel=1e-4)


@both
def test_pkt_is_passaliss(shapes):
    s, t, a, b = pair(shapes)
    n = len(a)

    def p(rows, i, j):
        def kernel(i):
            return (1 + rows[i] @ rows[j] / np.linalg.norm(rows[i]) / np.linalg.norm(rows[j])) / 2

        return kernel(i) / sum(kernel(k) for k in range(n) if k != j)

    total = sum(p(b, i, j) * math.log(p(b, i, j) / p(a, i, j)) for i, j in permutations(range(n), 2))
    assert float(pkt(s, t)) == pytest.approx(total / n, rel=1e-4)


@both
def test_cka_is_one_minus_the_ratio_of_unbiased_hsics(shapes):
    s, t, a, b = pair(shapes)
    n = len(a)

    def hsic(k, m):
        """Song et al. 2012, eq. 5, of Gram matrices."""
        k, m, one = k - np.diag(np.diag(k)), m - np.diag(np.diag(m)), np.ones(n)
        cross = one @ k @ one * (one @ m @ one) / ((n - 1) * (n - 2))
        return (np.trace(k @ m) + cross - 2 / (n - 2) * one @ k @ m @ one) / (n * (n - 3))

    k, m = a @ a.T, b @ b.T
    expected = 1 - hsic(k, m) / math.sqrt(hsic(k, k) * hsic(m, m))
    assert float(cka(s, t)) == pytest.approx(expected, rel=1e-4)


def test_numbers_worked_out_by_hand():
    line, corner = torch.tensor([[0.0], [1.0], [3.0]]), torch.tensor([[3.0, 0.0], [0.0, 0.0], [0.0, 4.0]])
    # distances 1, 2, 3 (mean 2) and 3, 4, 5 (mean 4) of the pairs (0, 1), (1, 2), (0, 2)
    distance = (0.5 * (0.5 - 0.75) ** 2 + 0 + 0.5 * (1.5 - 1.25) ** 2) / 3
    assert float(relational_distance(line, corner)) == pytest.approx(distance, rel=1e-6)
    # cosines at 0, 1, 2: 1, -1, 1 on the line; 3/5, 0, 4/5 in the triangle
    angles = (0.5 * 0.4**2 + 0.5 * 1.0**2 + 0.5 * 0.2**2) / 3
    assert float(relational_angle(line, corner)) == pytest.approx(angles, rel=1e-5)
    # Grams of rows scaled to one: the identity, and two equal samples
    assert float(gram(torch.eye(2), torch.ones(2, 1))) == pytest.approx(2 - math.sqrt(2), rel=1e-6)
    # at sample 0 the others are picked evenly (cosines 0 and 0), or as 1 : 1/2 (cosines 1 and 0)
    s, t = torch.eye(3), torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    uneven = 2 / 3 * math.log(4 / 3) + 1 / 3 * math.log(2 / 3)
    assert float(pkt(s, t)) == pytest.approx((uneven + uneven + 0) / 3, rel=1e-5)


def test_relations_are_blind_to_what_they_say():
    s, t = randn(12, 5), randn(12, 8, seed=1)
    turn, _ = torch.linalg.qr(randn(5, 5, seed=2))
    for loss in (relational_distance, relational_angle, cka):
        assert float(loss(10 * s @ turn + 100, t)) == pytest.approx(float(loss(s, t)), rel=1e-3)
    for loss in (gram, pkt):
        assert float(loss(10 * s @ turn, t)) == pytest.approx(float(loss(s, t)), rel=1e-4)


def test_a_step_down_each_gradient_makes_the_relations_more_alike():
    for loss in (gram, relational_distance, relational_angle, pkt, cka):
        s, t = randn(12, 5).requires_grad_(), randn(12, 8, seed=1)
        before = loss(s, t)
        (gradient,) = torch.autograd.grad(before, s)
        after = loss(s - 0.1 * gradient / gradient.norm(), t)
        assert after < before.detach() - 0.05 * float(gradient.norm())


def test_cka_of_unrelated_features_is_about_one_for_every_batch_size():
    for n in (8, 64):
        values = [float(cka(randn(n, 100, seed=i), randn(n, 100, seed=i + 1000))) for i in range(40)]
        assert np.mean(values) == pytest.approx(1.0, abs=0.05)


def test_angles_gone_through_in_parts_are_the_same():
    s, t = randn(9, 5).requires_grad_(), randn(9, 8, seed=1)
    values = [relational_angle(s, t), relational_angle(s, t, part_size=200)]
    gradients = [torch.autograd.grad(value, s)[0] for value in values]
    assert float(values[1].detach()) == pytest.approx(float(values[0].detach()), rel=1e-5)
    assert torch.allclose(*gradients, atol=1e-7)


def test_all_triangles_are_looked_at_once():
    n, rows = 4, randn(4, 2)
    flat = torch.tensor([[0.0], [1.0], [2.0], [3.0]])
    corners = [angle(rows.double().numpy(), i, j, k) for j in range(n) for i, k in combinations({*range(n)} - {j}, 2)]
    straight = [angle(flat.double().numpy(), i, j, k) for j in range(n) for i, k in combinations({*range(n)} - {j}, 2)]
    expected = np.mean([huber(x - y) for x, y in zip(corners, straight, strict=True)])
    assert float(relational_angle(rows, flat)) == pytest.approx(expected, rel=1e-4)
