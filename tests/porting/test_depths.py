import pytest
from hypothesis import given
from hypothesis import strategies as st

from mapsearch.core.layers import Layer
from mapsearch.core.mapping import LayerMapping
from mapsearch.core.space import RecipeSpace
from mapsearch.porting.depths import at_new_depths


def space(S, T):
    return RecipeSpace(
        *(tuple(Layer(f"{x}.{i}", "B", "vector", (8,), 1) for i in range(n)) for x, n in (("s", S), ("t", T)))
    )


def one_to_one(chosen):
    """Of teacher layers counted from 1; 0 leaves a row off."""
    return LayerMapping([(f"s.{s}", f"t.{t - 1}", 1.0) for s, t in enumerate(chosen) if t])


def carried(chosen, old, new):
    weights = at_new_depths(one_to_one(chosen), space(*old), space(*new))
    return [next((t + 1 for t, weight in enumerate(row) if weight), 0) for row in weights]


@pytest.mark.parametrize(
    ("chosen", "old", "new", "expected"),
    [
        ([4, 8, 12], (3, 12), (6, 12), [2, 4, 6, 8, 10, 12]),  # evenly spaced stays so
        ([4, 8, 12], (3, 12), (3, 24), [8, 16, 24]),
        ([2, 4, 6, 8, 10, 12], (6, 12), (3, 6), [2, 4, 6]),
        ([12, 8, 4], (3, 12), (6, 12), [12, 12, 10, 8, 6, 4]),  # falling, kept inside
        ([10, 11, 12], (3, 12), (6, 24), [19, 20, 21, 22, 23, 24]),  # the last layers
        ([4, 0, 12], (3, 12), (6, 12), [2, 4, 0, 0, 10, 12]),  # a row that is off
        ([3], (1, 6), (2, 6), [1, 3]),
    ],
)
def test_layers_keep_their_relative_depth(chosen, old, new, expected):
    assert carried(chosen, old, new) == expected


def test_several_teachers_of_a_row_keep_their_distance_and_weights():
    mapping = LayerMapping([("s.0", "t.0", 1.0), ("s.0", "t.2", 3.0), ("s.1", "t.5", 2.0)])
    weights = at_new_depths(mapping, space(2, 6), space(2, 12))
    assert [(t, w) for t, w in enumerate(weights[0]) if w] == [(1, 1.0), (5, 3.0)]
    assert [(t, w) for t, w in enumerate(weights[1]) if w] == [(11, 2.0)]
    merged = at_new_depths(mapping, space(2, 6), space(2, 2))
    assert merged[0][0] + merged[0][1] == 4.0, "layers that fall together add their weights"


@st.composite
def mappings(draw):
    S, T = draw(st.integers(1, 6)), draw(st.integers(1, 12))
    cells = draw(st.sets(st.tuples(st.integers(0, S - 1), st.integers(0, T - 1)), min_size=1, max_size=8))
    return S, T, LayerMapping([(f"s.{s}", f"t.{t}", draw(st.floats(0.1, 3.0))) for s, t in sorted(cells)])


@given(mappings())
def test_nothing_changes_between_networks_of_equal_depths(drawn):
    S, T, mapping = drawn
    here = space(S, T)
    assert at_new_depths(mapping, here, here) == mapping.matrix(here.student_layers, here.teacher_layers)


@given(mappings(), st.integers(1, 8), st.integers(1, 12))
def test_weights_of_a_row_are_neither_lost_nor_made(drawn, S, T):
    old_S, old_T, mapping = drawn
    weights = at_new_depths(mapping, space(old_S, old_T), space(S, T))
    sums = {
        round(sum(row), 9) for row in mapping.matrix(space(old_S, old_T).student_layers, space(1, old_T).teacher_layers)
    }
    assert {round(sum(row), 9) for row in weights} <= sums
