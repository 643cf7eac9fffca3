import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mapsearch.core.layers import Layer
from mapsearch.core.mapping import LayerMapping
from mapsearch.core.recipe import Recipe
from mapsearch.core.similarity import Similarity
from mapsearch.core.space import RecipeSpace
from mapsearch.core.space_spec import SpaceSpec
from mapsearch.proposers.controls import mapping_controls
from mapsearch.proposers.encoding import depth_curve, free_choice, local_move, to_params, to_recipe
from mapsearch.proposers.sampler import distributions

CHOICES = SpaceSpec()
BASE = Recipe(output_weight=1.0, temperature=4.0)
SHARED = {
    "feature_share": 0.5,
    "loss": "nmse",
    "projector": "linear",
    "aggregation": "sum",
    "balance": "frozen",
    "anneal": 1.0,
}
STRAIGHT = {
    "lo": 0.0,
    "rise": 1.0,
    "gamma": 1.0,
    "width": 0.3,
    "similarity_weight": 0.0,
    "max_teachers": 1,
    "slope": 0.0,
}


def space(S, T, kinds=None):
    shapes = {"vector": (8,), "tokens": (4, 8)}
    student = tuple(Layer(f"s.{i}", "B", kind, shapes[kind], 1) for i, kind in enumerate(kinds or ["vector"] * S))
    return RecipeSpace(student, tuple(Layer(f"t.{i}", "B", "vector", (8,), 1) for i in range(T)))


def flat(S, T):
    return [[0.0] * T for _ in range(S)]


def everything(S, T):
    return [[True] * T for _ in range(S)]


def curve(S, T, z=None, legal=None, **params):
    return depth_curve(STRAIGHT | params, z or flat(S, T), legal or everything(S, T))


def rows(weights):
    return [[t + 1 for t, weight in enumerate(row) if weight] for row in weights]


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({}, [[1], [5], [9], [13]]),
        ({"lo": 1.0, "rise": -0.25}, [[13], [12], [11], [10]]),
        ({"lo": 0.5, "rise": 0.0}, [[7]] * 4),
        ({"lo": 0.5, "rise": 1.0}, [[7], [9], [11], [13]]),  # the end is kept on the teacher
        ({"gamma": 2.0}, [[1], [2], [6], [13]]),
        ({"width": 0.5, "max_teachers": 3}, [[1, 2], [4, 5, 6], [8, 9, 10], [12, 13]]),
    ],
)
def test_special_curves(params, expected):
    assert rows(curve(4, 13, **params)) == expected


def test_one_student_layer_looks_at_the_end_of_the_curve():
    assert rows(curve(1, 5)) == [[5]]
    assert rows(curve(1, 1)) == [[1]]


def test_the_weights_are_the_documented_ones():
    z = [[0.5, 0.0, 1.0, -1.0], [1.0, 0.0, 0.5, -1.0]]
    first, last = curve(2, 4, z=z, width=2.0, max_teachers=3, similarity_weight=0.5, slope=-1.0)
    raw = [math.exp(-(t**2) / 8 + 0.5 * z[0][t]) for t in range(3)]  # m = 0; the fourth is the faintest
    assert first == pytest.approx([weight / sum(raw) for weight in raw] + [0.0])
    raw = [math.exp(-((3 - t) ** 2) / 8 + 0.5 * z[1][t]) for t in range(1, 4)]
    assert last == pytest.approx([0.0] + [math.exp(-1.0) * weight / sum(raw) for weight in raw])


def test_the_similarity_prior_can_be_followed_switched_off_and_inverted():
    z = [[0.0, 3.0, -3.0]]
    params = {"rise": 0.0, "width": 1.0}
    assert [rows(curve(1, 3, z=z, similarity_weight=w, **params)) for w in (2.0, 0.0, -2.0)] == [[[2]], [[1]], [[3]]]


CURVES = st.fixed_dictionaries(
    {
        "lo": st.floats(0, 1), "rise": st.floats(-0.25, 1), "gamma": st.floats(1 / 3, 3), "width": st.floats(0.3, 3),
        "similarity_weight": st.floats(-2, 2), "max_teachers": st.integers(1, 4), "slope": st.floats(-3, 3),
    }
)  # fmt: skip


@st.composite
def grids(draw):
    """(z, legal) of the same S and T."""
    S, T = draw(st.integers(1, 5)), draw(st.integers(1, 8))

    def matrix(values):
        return draw(st.lists(st.lists(values, min_size=T, max_size=T), min_size=S, max_size=S))

    return matrix(st.floats(-3, 3)), matrix(st.booleans())


@given(CURVES, grids())
def test_a_curve_is_always_a_legal_mapping(params, grid):
    z, legal = grid
    weights = depth_curve(params, z, legal)
    for s, row in enumerate(weights):
        assert all(weight >= 0 and math.isfinite(weight) for weight in row)
        assert all(legal[s][t] for t, weight in enumerate(row) if weight)
        assert (sum(weight > 0 for weight in row) > 0) == any(legal[s])
        assert sum(weight > 0 for weight in row) <= params["max_teachers"]
        if any(row):
            x = s / (len(weights) - 1) if len(weights) > 1 else 1.0
            assert sum(row) == pytest.approx(math.exp(params["slope"] * x))


@given(CURVES, grids(), grids())
def test_without_similarity_weight_the_similarity_does_not_matter(params, grid, other):
    z, legal = grid
    params = params | {"similarity_weight": 0.0}
    assert depth_curve(params, z, legal) == depth_curve(params, flat(len(legal), len(legal[0])), legal)


@given(CURVES, grids())
def test_sampled_parameters_make_a_recipe_between_legal_pairs(params, grid):
    z, _ = grid
    here = space(len(z), len(z[0]), kinds=["vector"] + ["tokens"] * (len(z) - 1))
    recipe = to_recipe(SHARED | params, here, z, BASE)
    assert recipe is not None
    assert here.problems(recipe) == []
    assert recipe.mapping.student_layers == ("s.0",)
    assert (recipe.output_weight, recipe.temperature, recipe.feature_share) == (1.0, 4.0, 0.5)


@given(CURVES, grids(), st.lists(st.sampled_from([8, 16]), min_size=8, max_size=8), st.sampled_from(["fuse", "mix"]))
def test_a_row_that_is_mixed_keeps_the_layers_that_fit_its_heaviest(params, grid, widths, aggregation):
    z, _ = grid
    here = space(len(z), len(z[0]))
    teacher = tuple(Layer(f"t.{t}", "B", "vector", (widths[t],), 1) for t in range(len(z[0])))
    here = RecipeSpace(here.student, teacher)
    summed, mixed = (to_recipe(SHARED | params | {"aggregation": kind}, here, z, BASE) for kind in ("sum", aggregation))
    assert mixed.aggregation == aggregation
    assert here.problems(mixed) == []
    names = here.student_layers, here.teacher_layers
    for row, other in zip(summed.mapping.matrix(*names), mixed.mapping.matrix(*names), strict=True):
        assert row.index(max(row)) == other.index(max(other))
        assert sum(row) == pytest.approx(sum(other))


def test_no_legal_pair_is_no_recipe():
    here = space(1, 3, kinds=["tokens"])
    assert to_recipe(SHARED | STRAIGHT, here, flat(1, 3), BASE) is None
    assert to_recipe(SHARED | {"teacher_0": 0, "teacher_1": 0}, space(2, 3), flat(2, 3), BASE) is None


def test_free_choice_is_one_teacher_layer_per_student_layer_or_none():
    legal = [[True, True, True], [True, False, True], [True, True, True]]
    weights = free_choice({"teacher_0": 3, "teacher_1": 2, "teacher_2": 0}, legal)
    assert weights == [[0, 0, 1], [0, 0, 0], [0, 0, 0]]


@pytest.mark.parametrize(("S", "T"), [(4, 12), (4, 4), (5, 3), (1, 12), (1, 1), (3, 1), (6, 7)])
@pytest.mark.parametrize("loss", ["nmse", "cosine"])
def test_controls_come_back_from_their_parameters(S, T, loss):
    here = space(S, T)
    similarity = Similarity(
        here.student_layers,
        here.teacher_layers,
        tuple(tuple(float((s * 7 + t * 3) % 5) for t in range(T)) for s in range(S)),
        0.1,
        "cka",
        64,
        "",
    )
    ranges = distributions(CHOICES, S, T)
    z = similarity.z()
    for name, mapping in mapping_controls(here, similarity, everything(S, T), 0).items():
        recipe = Recipe(mapping, loss, feature_share=0.5, output_weight=1.0, temperature=4.0)
        params = to_params(recipe, here, CHOICES)
        if name == "all" and T > 1:
            assert params is None
            continue
        back = to_recipe(params, here, z, BASE)
        assert back.mapping.normalised() == mapping.normalised(), name
        assert (back.loss, back.feature_share, back.anneal) == (loss, 0.5, 1.0)
        sampled = ranges["curve" if "lo" in params else "free"]
        for key, value in params.items():
            assert sampled[key]._contains(sampled[key].to_internal_repr(value)), (name, key, value)


def test_evenly_spaced_controls_are_curves_and_odd_ones_free():
    here = space(3, 9)

    def params(*teachers):
        weights = free_choice({f"teacher_{s}": t for s, t in enumerate(teachers)}, everything(3, 9))
        return to_params(
            Recipe(LayerMapping.from_matrix(weights, here.student_layers, here.teacher_layers), feature_share=0.5),
            here,
            CHOICES,
        )

    assert "lo" in params(3, 6, 9)
    assert "lo" in params(9, 8, 7)
    assert "teacher_0" in params(9, 6, 3)  # steeper down than a curve may be
    assert "teacher_0" in params(1, 9, 2)
    assert "teacher_0" in params(1, 0, 9)


@pytest.mark.parametrize(
    "fields",
    [
        {"feature_share": 0.95},
        {"loss": "attention"},
        {"projector": "none"},
        {"anneal": 0.7},
        {"aggregation": "fuse"},
        {"balance": "gate"},
    ],
)
def test_recipes_outside_the_space_have_no_parameters(fields):
    here = space(2, 2)
    mapping = LayerMapping.from_matrix([[1.0, 0.0], [0.0, 1.0]], here.student_layers, here.teacher_layers)
    assert to_params(Recipe(mapping, **{"feature_share": 0.5} | fields), here, CHOICES) is None
    assert to_params(BASE, here, CHOICES) is None


def test_features_that_never_fade_may_be_searched():
    here, choices = space(2, 2), SpaceSpec(anneal=(None, 1.0))
    mapping = LayerMapping.from_matrix([[1.0, 0.0], [0.0, 1.0]], here.student_layers, here.teacher_layers)
    recipe = Recipe(mapping, feature_share=0.5, anneal=None)
    params = to_params(recipe, here, choices)
    assert params["anneal"] is None
    assert to_recipe(params, here, [[0.0] * 2] * 2, BASE).anneal is None
    assert to_params(recipe, here, CHOICES) is None, "outside the default space"


def test_a_prior_that_cannot_be_switched_off_leaves_only_the_free_space():
    here, choices = space(2, 2), SpaceSpec(similarity_weight=(1.0, 2.0))
    mapping = LayerMapping.from_matrix([[1.0, 0.0], [0.0, 1.0]], here.student_layers, here.teacher_layers)
    assert "lo" in to_params(Recipe(mapping, feature_share=0.5), here, CHOICES)
    assert "teacher_0" in to_params(Recipe(mapping, feature_share=0.5), here, choices)


@given(st.lists(st.integers(0, 5), min_size=1, max_size=4).filter(any), st.integers(0, 2**31))
def test_a_local_move_is_one_step_of_one_student_layer(chosen, seed):
    here = space(len(chosen), 5)
    weights = free_choice({f"teacher_{s}": t for s, t in enumerate(chosen)}, everything(len(chosen), 5))
    recipe = Recipe(
        LayerMapping.from_matrix(weights, here.student_layers, here.teacher_layers), feature_share=0.3, loss="cosine"
    )
    params = local_move(recipe, here, seed)
    moved = [params[f"teacher_{s}"] for s in range(len(chosen))]
    assert sum(abs(a - b) for a, b in zip(chosen, moved, strict=True)) == 1
    assert all(0 <= t <= 5 for t in moved)
    assert any(moved)
    assert {key: params[key] for key in SHARED} == {**SHARED, "feature_share": 0.3, "loss": "cosine"}
    assert local_move(recipe, here, seed) == params


def test_a_single_pair_of_layers_has_no_neighbour():
    here = space(1, 1)
    recipe = Recipe(LayerMapping.from_matrix([[1.0]], here.student_layers, here.teacher_layers), feature_share=0.5)
    assert local_move(recipe, here, 0)["teacher_0"] == 1
