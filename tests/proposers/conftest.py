"""Search problems of a few layers, and trials with planted values."""

from collections.abc import Callable

import pytest

from mapsearch.core.layers import Layer
from mapsearch.core.recipe import Recipe
from mapsearch.core.search_problem import SearchProblem
from mapsearch.core.space import RecipeSpace
from mapsearch.core.space_spec import SpaceSpec


@pytest.fixture
def problem() -> Callable[..., SearchProblem]:
    """`problem(S, T, z=None, kinds=None, **choices)`: every pair is legal, unless kinds of student layers are given."""

    def make(S, T, z=None, kinds=None, direction="maximize", seed=0, **choices):
        shapes = {"vector": (8,), "tokens": (4, 8)}
        student = tuple(Layer(f"s.{i}", "B", kind, shapes[kind], 1) for i, kind in enumerate(kinds or ["vector"] * S))
        space = RecipeSpace(student, tuple(Layer(f"t.{i}", "B", "vector", (8,), 1) for i in range(T)))
        rows = tuple(map(tuple, z or [[0.0] * T] * S))
        return SearchProblem(space, SpaceSpec(**choices), rows, Recipe(output_weight=3.0), direction, seed)

    return make
