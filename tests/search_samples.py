"""A small study with its trials and runs, as data."""

from dataclasses import replace

from mapsearch import search
from mapsearch.core.layers import Layer
from mapsearch.core.mapping import LayerMapping, Pair
from mapsearch.core.recipe import Recipe
from mapsearch.core.runs import Run
from mapsearch.core.similarity import Similarity
from mapsearch.core.space import RecipeSpace
from mapsearch.core.spec import StudySpec
from mapsearch.core.trials import Trial

SPEC = StudySpec(name="x", task="x.py:X", seed=7)


SPACE = RecipeSpace(
    *(tuple(Layer(f"{x}.{i}", "B", "vector", (8,), 1) for i in range(n)) for x, n in (("s", 2), ("t", 4)))
)


SIMILARITY = Similarity(
    ("s.0", "s.1"), SPACE.teacher_layers, ((0.9, 0.1, 0.0, 0.0), (0.0, 0.8, 0.7, 0.1)), 0.05, "cka", 64, ""
)


LOGITS = Recipe(output_weight=3.0, temperature=4.0)


PLAIN = {"none": Recipe(lr_factor=0.3), "outputs": LOGITS}


def mapped(teacher="t.0", weight=1.0, **fields):
    fields = {"feature_share": 0.5} | fields
    return Recipe(LayerMapping((Pair("s.0", teacher, weight), Pair("s.1", "t.3", weight))), **fields)


def trial(number, value, recipe=None, **fields):
    state = "complete" if value is not None else "infeasible"
    recipe = recipe or replace(mapped(), anneal=1 / (1 + number))  # no two alike
    return Trial(number, "curve", recipe, state=state, value=value, **fields)


def run(number, seed=0, value=0.5, rung=search.SEARCH, state="complete"):
    return Run(number, rung, seed, "search", "valid", 10, state, 1, value if state == "complete" else None, None)
