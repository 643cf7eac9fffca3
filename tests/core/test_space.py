from dataclasses import replace
from itertools import permutations

import pytest

from mapsearch.core.layers import Layer
from mapsearch.core.losses import LOSS_TRAITS
from mapsearch.core.mapping import LayerMapping, Pair
from mapsearch.core.recipe import Recipe
from mapsearch.core.space import RecipeSpace, fuse_problem, pair_problem, patch_grid


def layer(kind, *shape, problem=""):
    return Layer("x", "Module", kind, shape, 1, problem)


MAP, TOKENS, VECTOR = layer("map", 8, 4, 4), layer("tokens", 6, 8), layer("vector", 8)
VIT = layer("tokens", 197, 192)
PATCHES, REGISTERS = (replace(layer("tokens", n, 8), patches=(14, 14)) for n in (197, 201))
BETWEEN_SAMPLES = [name for name, traits in LOSS_TRAITS.items() if traits.compares == "samples"]


@pytest.mark.parametrize(
    ("student", "teacher", "loss", "projector"),
    [
        (VECTOR, layer("vector", 64), "nmse", "linear"),
        (TOKENS, layer("tokens", 6, 64), "cosine", "linear"),
        (MAP, layer("map", 64, 7, 9), "nmse", "linear"),
        (MAP, layer("map", 64, 7, 9), "attention", "none"),
        (MAP, layer("map", 8, 2, 2), "nmse", "none"),
        (VECTOR, layer("vector", 64), "vid", "mlp"),
        (MAP, layer("map", 64, 7, 9), "nst", "none"),
        (TOKENS, layer("tokens", 6, 64), "attention_relation", "none"),
        (VIT, layer("map", 64, 7, 7), "nmse", "linear"),
        (layer("map", 64, 7, 7), VIT, "attention", "none"),
        (PATCHES, REGISTERS, "nmse", "linear"),
        (REGISTERS, replace(layer("tokens", 50, 8), patches=(7, 7)), "attention", "none"),
        (PATCHES, REGISTERS, "gram", "none"),
        *((*kinds, loss, "none") for loss in BETWEEN_SAMPLES for kinds in permutations((MAP, TOKENS, VECTOR), 2)),
        (MAP, layer("map", 8, 16), "gram", "linear"),
    ],
)
def test_pairs_that_can_be_matched(student, teacher, loss, projector):
    assert pair_problem(student, teacher, loss, projector) == ""


@pytest.mark.parametrize(
    ("student", "teacher", "loss", "projector", "why"),
    [
        (MAP, VECTOR, "nmse", "linear", "map cannot be matched with a vector"),
        (MAP, TOKENS, "nmse", "linear", "6 tokens do not form a grid"),
        (VIT, layer("map", 8, 16), "nst", "none", "maps of two spatial axes"),
        (VIT, layer("map", 64, 7, 7), "nmse", "none", "widths must be equal"),
        (VIT, MAP, "attention_relation", "none", "attention_relation needs tokens"),
        (layer("tokens", 1, 8), layer("tokens", 1, 8), "attention_relation", "none", "attention_relation needs maps"),
        (layer("map", 8, 1, 1), layer("map", 8, 1, 1), "nst", "linear", "nst needs maps"),
        (TOKENS, layer("tokens", 7, 8), "cka", "none", "sequence lengths differ"),
        (PATCHES, REGISTERS, "attention_relation", "none", "sequence lengths differ"),
        (PATCHES, layer("tokens", 201, 8), "nmse", "linear", "sequence lengths differ"),
        (MAP, layer("map", 8, 16), "nmse", "linear", "number of spatial axes"),
        (TOKENS, layer("tokens", 7, 8), "nmse", "linear", "sequence lengths differ"),
        (TOKENS, replace(TOKENS, sequence="decoder"), "nmse", "linear", "of two sequences"),
        (replace(TOKENS, sequence="*"), replace(TOKENS, sequence="decoder"), "gram", "none", "of two sequences"),
        (VECTOR, VECTOR, "attention", "linear", "attention needs maps"),
        (VECTOR, layer("vector", 64), "nmse", "none", "widths must be equal"),
        (VECTOR, layer("vector", 8, problem="called 3 times"), "nmse", "linear", "called 3 times"),
    ],
)
def test_pairs_that_cannot_be_matched_say_why(student, teacher, loss, projector, why):
    assert why in pair_problem(student, teacher, loss, projector)


@pytest.mark.parametrize(
    ("n_tokens", "grid", "patches"),
    [
        (196, (7, 7), (14, 14)),
        (197, (7, 7), (14, 14)),  # a class token
        (198, (14, 14), (14, 14)),  # and one of distillation
        (201, (32, 32), (14, 14)),  # and four registers
        (17, (4, 4), (4, 4)),
        (961, (12, 20), (24, 40)),  # images that are no squares
        (128, (8, 8), (11, 11)),  # seven tokens before the patches are still believed
        (130, (8, 8), None),  # nine are not
        (6, (4, 4), None),  # nor two before four
        (197, (1, 400), None),
    ],
)
def test_patches_have_the_proportions_of_the_map(n_tokens, grid, patches):
    assert patch_grid(layer("tokens", n_tokens, 8), layer("map", 8, *grid)) == patches


SPACE = RecipeSpace(
    student=(Layer("blocks.0", "Block", "map", (8, 4, 4), 1), Layer("head", "Linear", "vector", (10,), 1)),
    teacher=(
        Layer("layers.0", "Block", "map", (64, 4, 4), 1),
        Layer("layers.1", "Block", "map", (8, 2, 2), 1),
        Layer("head", "Linear", "vector", (10,), 1),
    ),
)


def recipe(*pairs, **fields):
    return Recipe(LayerMapping(tuple(Pair(*pair, 1.0) for pair in pairs)), feature_share=0.5, **fields)


def test_legal_is_a_row_per_student_layer():
    assert SPACE.student_layers == ("blocks.0", "head")
    assert SPACE.teacher_layers == ("layers.0", "layers.1", "head")
    assert SPACE.legal("nmse", "linear") == [[True, True, False], [False, False, True]]
    assert SPACE.legal("nmse", "none") == [[False, True, False], [False, False, True]]
    assert SPACE.legal("attention", "none") == [[True, True, False], [False, False, False]]


def test_a_legal_recipe_has_no_problems():
    assert SPACE.problems(recipe(("blocks.0", "layers.0"), ("head", "head"))) == []
    assert SPACE.problems(Recipe()) == []


def test_every_pair_that_is_not_legal_is_told():
    problems = SPACE.problems(recipe(("blocks.0", "head"), ("blocks.0", "layers.0"), projector="none"))
    assert [problem.split(":")[0] for problem in problems] == ["pair `blocks.0 <- head`", "pair `blocks.0 <- layers.0`"]


def test_layers_outside_the_space_are_told_with_close_matches():
    student, teacher = SPACE.problems(recipe(("block.0", "layer.1")))
    assert all(part in student for part in ("student", "`block.0`", "did you mean `blocks.0`?"))
    assert all(part in teacher for part in ("teacher", "`layer.1`", "did you mean `layers.1` or `layers.0`?"))


@pytest.mark.parametrize(
    "layers",
    [
        (MAP,),
        (MAP, layer("map", 8, 2, 2)),  # on the smaller grid
        (TOKENS, TOKENS, TOKENS),
        (VECTOR, VECTOR),
    ],
)
def test_layers_of_one_shape_can_be_mixed(layers):
    assert fuse_problem(layers) == ""


@pytest.mark.parametrize(
    "layers",
    [
        (MAP, layer("map", 16, 4, 4)),
        (MAP, layer("map", 8, 4)),
        (TOKENS, layer("tokens", 7, 8)),
        (TOKENS, layer("tokens", 6, 16)),
        (VECTOR, layer("vector", 9)),
        (VECTOR, VECTOR, TOKENS),
    ],
)
def test_layers_of_other_shapes_cannot(layers):
    assert "must share kind, width and tokens" in fuse_problem(layers)


@pytest.mark.parametrize("aggregation", ["fuse", "mix"])
def test_a_row_that_cannot_be_mixed_is_told_with_its_layers(aggregation):
    pairs = (("blocks.0", "layers.0"), ("blocks.0", "layers.1"))
    (problem,) = SPACE.problems(recipe(*pairs, aggregation=aggregation))
    for part in ("`blocks.0 <- layers.0 + layers.1`", "`layers.0` map [64, 4, 4], `layers.1` map [8, 2, 2]"):
        assert part in problem
    assert SPACE.problems(recipe(*pairs)) == []
    assert SPACE.problems(recipe(("blocks.0", "layers.0"), ("head", "head"), aggregation=aggregation)) == []
    assert SPACE.fusable() == [[True, False, False], [False, True, False], [False, False, True]]
