"""The hand-made recipes that every study runs beside its proposals."""

import random
from collections.abc import Callable, Mapping
from dataclasses import replace

from mapsearch.core.mapping import LayerMapping
from mapsearch.core.recipe import ProjectorName, Recipe
from mapsearch.core.similarity import Similarity
from mapsearch.core.space import RecipeSpace
from mapsearch.proposers.assignment import best_assignment

MAPPING_CONTROLS = ("uniform", "copied", "last", "first", "reverse", "random", "all", "similarity", "placebo")
"""Every control that `mapping_controls` may give, in the order in which coinciding ones are kept."""

OTHER_PROJECTOR: Mapping[ProjectorName, tuple[str, ProjectorName]] = {
    "linear": ("no_projector", "none"),
    "mlp": ("no_projector", "none"),
    "none": ("linear_projector", "linear"),
}
"""The control beside a recipe that differs from it in the projector alone: its name, and that projector."""

OWN_SETTINGS = ("article", *dict.fromkeys(name for name, _ in OTHER_PROJECTOR.values()))
"""Controls with features that differ from the others in more than their mapping."""

DRAWS = 20
"""How often a random mapping is drawn again that coincides with one before it."""


def mapping_controls(
    space: RecipeSpace,
    similarity: Similarity,
    legal: list[list[bool]],
    seed: int,
    copied: Mapping[str, str] | None = None,
) -> dict[str, LayerMapping]:
    """The hand-made mappings by name, without illegal pairs; mappings that are empty then are left out.

    Student layers that may be matched with the same teacher layers, such as those of a decoder, are spread over these.
    `uniform` spaces them evenly and ends with the last one (TinyBERT, Jiao et al. 2020);
    `similarity` is the best assignment of the measured matrix, `placebo` that of the same matrix
    shuffled: what the procedure yields when the measurement means nothing. `random` and `placebo` are drawn again
    where they coincide with another; the others may still coincide (`distinct_mappings`).

    Args:
        legal: which pairs may be matched, `[S, T]`.
        copied: the teacher layer whose weights a student layer starts from, by the student's.
    """
    T, names = len(space.teacher), (space.student_layers, space.teacher_layers)
    rng, measured = random.Random(seed), [list(row) for row in similarity.values]

    def chosen(place: Callable[[int, int, int], int]) -> LayerMapping:
        rows = [_teacher(legal, s, place) for s in range(len(legal))]
        return LayerMapping.from_matrix([[float(t == at) for t in range(T)] for at in rows], *names)

    mappings = {
        "uniform": chosen(lambda s, n, m: round((s + 1) * m / n) - 1),
        "copied": LayerMapping.from_matrix(
            _only(
                legal, [[float((copied or {}).get(s) == t) for t in space.teacher_layers] for s in space.student_layers]
            ),
            *names,
        ),
        "last": chosen(lambda s, n, m: m - n + s),
        "first": chosen(lambda s, n, m: s),
        "reverse": chosen(lambda s, n, m: round((n - s) * m / n) - 1),
        "all": LayerMapping.from_matrix([[float(ok) for ok in row] for row in legal], *names),
        "similarity": best_assignment(measured, legal, *names),
    }
    mappings["random"] = _drawn(lambda: chosen(lambda s, n, m: rng.randrange(m)), mappings)
    mappings["placebo"] = _drawn(lambda: best_assignment(_shuffled(measured, rng), legal, *names), mappings)
    return {name: mappings[name] for name in MAPPING_CONTROLS if mappings[name].pairs}


def _teacher(legal: list[list[bool]], s: int, place: Callable[[int, int, int], int]) -> int | None:
    """The teacher layer of a student layer by a rule; None where it has none.

    Args:
        place: which of `m` teacher layers the `s`-th of `n` student layers has, all of which may be matched.
    """
    peers = [row for row, oks in enumerate(legal) if oks == legal[s]]
    fits = [t for t, ok in enumerate(legal[s]) if ok]
    if not fits:
        return None
    return fits[min(max(0, place(peers.index(s), len(peers), len(fits))), len(fits) - 1)]


def distinct_mappings(mappings: Mapping[str, LayerMapping]) -> tuple[dict[str, LayerMapping], dict[str, str]]:
    """Of mappings that coincide the first, and the name of that one for each of the others."""
    kept, coinciding = dict[str, LayerMapping](), dict[str, str]()
    for name, mapping in mappings.items():
        twin = next((other for other in kept if kept[other] == mapping), None)
        if twin is None:
            kept[name] = mapping
        else:
            coinciding[name] = twin
    return kept, coinciding


def article(uniform: LayerMapping, outputs: Recipe, projector: ProjectorName) -> Recipe:
    """The folklore: uniform spacing, 0.8 features and 0.2 outputs, never annealed."""
    return replace(outputs, mapping=uniform, feature_share=0.8, anneal=None, projector=projector)


def _drawn(draw: Callable[[], LayerMapping], others: Mapping[str, LayerMapping]) -> LayerMapping:
    """A mapping that is none of the others; in a space so small that there is none, one of them."""
    mapping = draw()
    for _ in range(DRAWS):
        if mapping.pairs and mapping not in others.values():
            break
        mapping = draw()
    return mapping


def _only(legal: list[list[bool]], weights: list[list[float]]) -> list[list[float]]:
    return [[w if ok else 0.0 for w, ok in zip(row, oks, strict=True)] for row, oks in zip(weights, legal, strict=True)]


def _shuffled(values: list[list[float]], rng: random.Random) -> list[list[float]]:
    flat = [value for row in values for value in row]
    rng.shuffle(flat)
    width = len(values[0])
    return [flat[i : i + width] for i in range(0, len(flat), width)]
