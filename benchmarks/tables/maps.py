"""All mappings of a small space, by name: `135` teaches three student layers by teacher layers 1, 3 and 5.

A `-` is a student layer that nothing teaches.
"""

from collections.abc import Sequence
from itertools import pairwise, product
from typing import Literal

from mapsearch.core.mapping import LayerMapping, Pair
from mapsearch.core.space import RecipeSpace

Kind = Literal["all", "rising, one-to-one", "all, rows off too"]
OFF = "-"


def every_map(legal: Sequence[Sequence[bool]], kind: Kind) -> list[str]:
    """The names of all legal mappings with at most one teacher layer a row.

    `rising, one-to-one`: each student layer is taught by a later teacher layer than the one before it.

    Args:
        legal: which pairs may be matched, `[S, T]`.
    """
    off = [OFF] if kind == "all, rows off too" else []
    rows = [[*(str(t) for t, ok in enumerate(row) if ok), *off] for row in legal]
    names = ["".join(chosen) for chosen in product(*rows) if set(chosen) != {OFF}]
    return [name for name in names if kind != "rising, one-to-one" or all(a < b for a, b in pairwise(name))]


def mapping_of(name: str, space: RecipeSpace) -> LayerMapping:
    """The mapping of that name; all its rows weigh the same."""
    pairs = zip(space.student_layers, name, strict=True)
    return LayerMapping(Pair(s, space.teacher_layers[int(t)], 1.0) for s, t in pairs if t != OFF)


def uniform(n_student: int, n_teacher: int) -> str:
    """The name of the control `uniform`: evenly spaced, the last layer teaches the last."""
    return "".join(str(round((s + 1) * n_teacher / n_student) - 1) for s in range(n_student))
