import math
from statistics import mean, stdev

import numpy as np
import pytest

from mapsearch.core.verdict import Noise
from mapsearch.verdict.noise import estimate_noise


def by_seed(values):
    return dict(enumerate(values))


def noise_values(mapping_effect, seed=0):
    rng = np.random.default_rng(seed)
    seed_effect = rng.normal(0, 1, 4)
    return {m: by_seed(mapping_effect * m + seed_effect + rng.normal(0, 0.1, 4)) for m in range(5)}


def test_noise_tells_mappings_apart_beyond_their_common_seed_effect():
    values = noise_values(0.3)
    noise = estimate_noise(values)
    assert not noise.flat
    assert noise.mapping_sd == pytest.approx(stdev([0.3 * m for m in range(5)]), rel=0.3)
    assert noise.seed_sd == pytest.approx(math.sqrt(mean(stdev(row.values()) ** 2 for row in values.values())))


def test_mappings_without_effect_are_flat_nineteen_times_in_twenty():
    flat = [estimate_noise(noise_values(0.0, seed)).flat for seed in range(300)]
    assert 0.92 <= mean(flat) <= 0.98


def test_noise_of_equal_values_is_flat_and_of_exact_differences_is_not():
    for columns in ([0.1, 0.7, 0.3], [0.83, 0.9], [1 / 3, 0.2, 0.6, 0.1]):
        noise = estimate_noise({m: by_seed(columns) for m in range(7)})
        assert (noise.flat, noise.mapping_sd) == (True, 0.0)  # and rounding does not decide
        assert noise.seed_sd == pytest.approx(stdev(columns))
    assert estimate_noise({m: by_seed([0.5, 0.5]) for m in range(3)}) == Noise(0.0, 0.0, True, 0.0)
    assert not estimate_noise({m: by_seed([m + 0.1, m + 0.7]) for m in range(3)}).flat


@pytest.mark.parametrize("spread", [0.0, 0.1, 0.3])
def test_the_limit_of_the_spread_covers_it_nineteen_times_in_twenty(spread):
    rng, covered = np.random.default_rng(0), []
    for _ in range(400):
        effects = rng.normal(0, spread, 5)
        values = {m: by_seed(effects[m] + rng.normal(0, 0.1, 3)) for m in range(5)}
        covered.append(estimate_noise(values).mapping_limit >= spread)
    assert mean(covered) >= 0.93


def test_noise_needs_two_mappings_and_two_common_seeds():
    assert estimate_noise({}) is None
    assert estimate_noise({0: by_seed([0.1, 0.2])}) is None
    assert estimate_noise({0: {0: 0.1, 1: 0.2}, 1: {1: 0.1, 2: 0.2}}) is None
    assert estimate_noise({0: {0: 0.1, 1: 0.2, 9: 5.0}, 1: {1: 0.1, 0: 0.2}}) is not None
