"""The one-to-one mapping with the largest summed similarity."""

import numpy as np
from scipy.optimize import linear_sum_assignment

from mapsearch.core.mapping import LayerMapping, Pair


def best_assignment(
    values: list[list[float]], legal: list[list[bool]], student_layers: tuple[str, ...], teacher_layers: tuple[str, ...]
) -> LayerMapping:
    """One teacher layer per student layer, each used once, with the largest summed similarity.

    With fewer teacher than student layers, some student layers are left out. Source: the assignment problem
    (Kuhn 1955), as solved by `scipy.optimize.linear_sum_assignment`.
    """
    benefit = np.where(legal, np.asarray(values, dtype=float), -1e6)
    students, teachers = linear_sum_assignment(benefit, maximize=True)
    return LayerMapping(
        tuple(
            Pair(student_layers[s], teacher_layers[t], 1.0)
            for s, t in zip(students, teachers, strict=True)
            if legal[s][t]
        )
    )
