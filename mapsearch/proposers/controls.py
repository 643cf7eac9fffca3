"""The hand-made recipes that every study runs beside its proposals."""

import random
from dataclasses import replace

from mapsearch.core.mapping import LayerMapping
from mapsearch.core.recipe import ProjectorName, Recipe
from mapsearch.core.similarity import Similarity
from mapsearch.core.space import RecipeSpace
from mapsearch.proposers.assignment import best_assignment

MAPPING_CONTROLS = ("uniform", "last", "first", "reverse", "random", "all", "similarity", "placebo")
"""Every control that `mapping_controls` may give: what a study takes is forecast from it."""


def mapping_controls(
    space: RecipeSpace, similarity: Similarity, legal: list[list[bool]], seed: int
) -> dict[str, LayerMapping]:
    """The hand-made mappings by name, without illegal pairs; mappings that are empty then are left out.

    `uniform` spaces the teacher layers evenly and ends with the last one (TinyBERT, Jiao et al. 2020);
    `similarity` is the best assignment of the measured matrix, `placebo` that of the same matrix
    shuffled: what the procedure yields when the measurement means nothing.

    Args:
        legal: which pairs may be matched, `[S, T]`.
    """
    S, T = len(space.student), len(space.teacher)
    rng = random.Random(seed)
    chosen = {
        "uniform": [round((s + 1) * T / S) - 1 for s in range(S)],
        "last": [T - S + s for s in range(S)],
        "first": [min(s, T - 1) for s in range(S)],
        "reverse": [round((S - s) * T / S) - 1 for s in range(S)],
        "random": [rng.randrange(T) for _ in range(S)],
    }
    weights = {name: [[float(t == max(0, at)) for t in range(T)] for at in row] for name, row in chosen.items()}
    weights["all"] = [[1.0] * T for _ in range(S)]
    names = space.student_layers, space.teacher_layers
    mappings = {name: LayerMapping.from_matrix(_only(legal, matrix), *names) for name, matrix in weights.items()}
    measured = [list(row) for row in similarity.values]
    mappings["similarity"] = best_assignment(measured, legal, *names)
    mappings["placebo"] = best_assignment(_shuffled(measured, rng), legal, *names)
    assert set(mappings) == set(MAPPING_CONTROLS), "name a new control in MAPPING_CONTROLS"
    return {name: mapping for name, mapping in mappings.items() if mapping.pairs}


def article(uniform: LayerMapping, outputs: Recipe, projector: ProjectorName) -> Recipe:
    """The folklore: uniform spacing, 0.8 features and 0.2 outputs, never annealed."""
    return replace(outputs, mapping=uniform, feature_share=0.8, anneal=None, projector=projector)


def _only(legal: list[list[bool]], weights: list[list[float]]) -> list[list[float]]:
    return [[w if ok else 0.0 for w, ok in zip(row, oks, strict=True)] for row, oks in zip(weights, legal, strict=True)]


def _shuffled(values: list[list[float]], rng: random.Random) -> list[list[float]]:
    flat = [value for row in values for value in row]
    rng.shuffle(flat)
    width = len(values[0])
    return [flat[i : i + width] for i in range(0, len(flat), width)]
