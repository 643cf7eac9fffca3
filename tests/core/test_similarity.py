import json
from statistics import fmean, pstdev

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mapsearch.core.similarity import Similarity

VALUES = st.floats(min_value=-1, max_value=1)
MATRICES = st.integers(1, 5).flatmap(
    lambda width: st.lists(st.lists(VALUES, min_size=width, max_size=width).map(tuple), min_size=1, max_size=4)
)


def similarity(values, noise_floor=0.05):
    return Similarity(
        student_layers=tuple(f"s.{i}" for i in range(len(values))),
        teacher_layers=tuple(f"t.{i}" for i in range(len(values[0]))),
        values=tuple(map(tuple, values)),
        noise_floor=noise_floor,
        measure="cka",
        spread_floor=noise_floor,
        n_samples=2048,
        features="mean over positions",
    )


@given(MATRICES)
def test_json_gives_the_same_similarity_back(values):
    noun = similarity(values)
    assert Similarity.from_json(json.loads(json.dumps(noun.to_json()))) == noun


@given(MATRICES)
def test_z_has_mean_0_and_deviation_1_in_each_row_that_varies(values):
    for row, given_row in zip(similarity(values, noise_floor=0.0).z(), values, strict=True):
        assert fmean(row) == pytest.approx(0, abs=1e-3)
        assert pstdev(row) == pytest.approx(1 if pstdev(given_row) > 1e-12 else 0, abs=1e-3)


def test_z_keeps_the_order_of_a_row():
    assert similarity([[0.1, 0.5, 0.3]]).z()[0] == pytest.approx([-1.2247, 1.2247, 0], abs=1e-4)


def test_flat_means_that_no_row_spreads_beyond_noise():
    assert similarity([[0.90, 0.94], [0.10, 0.14]]).is_flat
    assert not similarity([[0.90, 0.94], [0.10, 0.24]]).is_flat


def test_a_row_that_is_noise_says_nothing_to_the_search():
    flat, varied = similarity([[0.90, 0.94], [0.10, 0.24]]).z()
    assert flat == [0.0, 0.0]
    assert varied == pytest.approx([-1.0, 1.0])
