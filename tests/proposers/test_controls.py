import pytest

from mapsearch.core.layers import Layer
from mapsearch.core.recipe import Recipe
from mapsearch.core.similarity import Similarity
from mapsearch.core.space import RecipeSpace
from mapsearch.proposers.assignment import best_assignment
from mapsearch.proposers.controls import MAPPING_CONTROLS, article, distinct_mappings, mapping_controls

NAMES = {"uniform", "last", "first", "reverse", "random", "all", "similarity", "placebo"}
"""Without `copied`, for which a student must start from its teacher's weights."""
GRIDS = [(4, 12), (4, 4), (5, 3), (1, 12), (1, 1), (3, 1), (6, 7)]


def space(S, T):
    return RecipeSpace(
        *(tuple(Layer(f"{x}.{i}", "B", "vector", (8,), 1) for i in range(n)) for x, n in (("s", S), ("t", T)))
    )


def controls(S, T, seed=0, legal=None, values=None, copied=None):
    """The teacher layers of each student layer, counted from 1, by control."""
    here = space(S, T)
    values = values or tuple(tuple(-abs(s / S - t / T) for t in range(T)) for s in range(S))
    similarity = Similarity(here.student_layers, here.teacher_layers, values, 0.1, "cka", 64, "")
    found = mapping_controls(here, similarity, legal or [[True] * T for _ in range(S)], seed, copied)
    return {
        name: [
            [t + 1 for t, weight in enumerate(row) if weight]
            for row in mapping.matrix(here.student_layers, here.teacher_layers)
        ]
        for name, mapping in found.items()
    }


def test_twelve_to_four_is_tinyberts_table():
    found = controls(4, 12)
    assert found["uniform"] == [[3], [6], [9], [12]]
    assert found["last"] == [[9], [10], [11], [12]]
    assert found["first"] == [[1], [2], [3], [4]]
    assert found["reverse"] == [[12], [9], [6], [3]]
    assert found["all"] == [list(range(1, 13))] * 4
    assert set(found) == NAMES


def test_more_student_than_teacher_layers():
    found = controls(4, 2)
    assert found["uniform"] == [[1], [1], [2], [2]]
    assert found["last"] == [[1], [1], [1], [2]]
    assert found["first"] == [[1], [2], [2], [2]]
    assert found["reverse"] == [[2], [2], [1], [1]]


@pytest.mark.parametrize(("S", "T"), GRIDS)
def test_on_every_grid_each_student_layer_is_taught_and_uniform_ends_with_the_last(S, T):
    found = controls(S, T)
    assert set(found) == NAMES
    for name in ("uniform", "last", "first", "reverse", "random"):
        assert [len(row) for row in found[name]] == [1] * S, name
    assert found["uniform"][-1] == found["reverse"][0] == found["last"][-1] == [T]
    assert found["uniform"] == sorted(found["uniform"])
    for name in ("similarity", "placebo"):
        taught = [row[0] for row in found[name] if row]
        assert len(taught) == len(set(taught)) == min(S, T)


def test_a_student_that_starts_from_the_teachers_weights_is_taught_by_those_layers():
    found = controls(3, 6, copied={"s.0": "t.1", "s.2": "t.4"})
    assert found["copied"] == [[2], [], [5]]
    assert tuple(found) == MAPPING_CONTROLS


@pytest.mark.parametrize("seed", range(8))
def test_random_and_placebo_are_mappings_of_their_own(seed):
    found = controls(2, 3, seed)
    for name in ("random", "placebo"):
        others = [rows for other, rows in found.items() if other != name]
        assert found[name] not in others


def test_of_mappings_that_coincide_the_first_is_kept_and_the_others_name_it():
    here = space(2, 2)
    similarity = Similarity(here.student_layers, here.teacher_layers, ((0.9, 0.1), (0.1, 0.9)), 0.1, "cka", 64, "")
    everything = mapping_controls(here, similarity, [[True] * 2] * 2, 0, {"s.0": "t.0", "s.1": "t.1"})
    kept, coinciding = distinct_mappings(everything)
    assert kept | {name: kept[other] for name, other in coinciding.items()} == everything
    assert len({mapping.fingerprint for mapping in kept.values()}) == len(kept)
    assert {name: coinciding[name] for name in ("copied", "last", "first", "similarity")} == dict.fromkeys(
        ("copied", "last", "first", "similarity"), "uniform"
    )


def test_random_and_placebo_follow_the_seed():
    assert controls(4, 12, seed=3) == controls(4, 12, seed=3)
    one, other = controls(4, 12, seed=0), controls(4, 12, seed=1)
    assert {name for name in NAMES if one[name] != other[name]} == {"random", "placebo"}


def test_pairs_that_are_not_legal_are_left_out_and_so_are_empty_mappings():
    legal = [[s == 3 or (s > 0 and t < 2) for t in range(12)] for s in range(4)]
    found = controls(4, 12, legal=legal)
    assert found["uniform"] == [[], [1], [2], [12]]
    assert found["all"] == [[], [1, 2], [1, 2], list(range(1, 13))]
    for rows in found.values():
        assert all(legal[s][t - 1] for s, row in enumerate(rows) for t in row)
    assert controls(4, 12, legal=[[False] * 12] * 4) == {}


def test_an_encoder_and_a_decoder_are_spread_each_over_its_own():
    legal = [[(s < 2) == (t < 6) for t in range(12)] for s in range(4)]
    found = controls(4, 12, legal=legal)
    assert found["uniform"] == [[3], [6], [9], [12]]
    assert found["first"] == [[1], [2], [7], [8]]
    assert found["last"] == [[5], [6], [11], [12]]
    assert found["reverse"] == [[6], [3], [12], [9]]
    assert all(len(row) == 1 for row in found["random"])


def test_the_assignment_maximises_the_sum_not_each_row():
    values = [[0.9, 0.8], [0.9, 0.1]]
    everything = [[True, True], [True, True]]
    pairs = best_assignment(values, everything, ("a", "b"), ("x", "y")).pairs
    assert [pair[:2] for pair in pairs] == [("a", "y"), ("b", "x")]


def test_the_article_is_eight_to_two():
    recipe = article(
        Recipe.from_json({"pairs": [{"student": "s", "teacher": "t", "weight": 1}], "feature_share": 1}).mapping,
        Recipe(output_weight=1.0),
        "none",
    )
    assert (recipe.feature_share, recipe.anneal, recipe.output_weight, recipe.projector) == (
        0.8,
        None,
        1.0,
        "none",
    )  # never faded
