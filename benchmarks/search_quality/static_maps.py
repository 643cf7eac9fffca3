"""Mappings read off the measured similarity, as papers do: nothing is searched."""

import numpy as np

from benchmarks.search_quality.landscapes import Floats, Landscape
from benchmarks.search_quality.replay import AT, hand_made
from mapsearch.core.mapping import LayerMapping


def argmax(similarity: Floats) -> list[int]:
    """The most similar teacher layer of every student layer."""
    return [int(t) for t in similarity.argmax(1)]


def monotone(similarity: Floats) -> list[int]:
    """The largest summed similarity among mappings that never fall, by dynamic programming over student layers."""
    best = np.zeros(similarity.shape[1])
    behind = []
    for row in similarity:
        reached = np.maximum.accumulate(best)
        behind.append([int(best[: t + 1].argmax()) for t in range(len(row))])
        best = reached + row
    at = [int(best.argmax())]
    for back in behind[:0:-1]:
        at.append(back[at[-1]])
    return at[::-1]


STATIC = {"argmax": argmax, "monotone": monotone}


def regrets_of_static(landscape: Landscape, name: str) -> list[float]:
    """Of such a mapping at the settings of the controls: the same after any number of proposals."""
    chosen = STATIC[name](np.array(landscape.similarity.values))
    weights = np.eye(landscape.n_teacher)[chosen].tolist()
    space = landscape.space
    mapping = LayerMapping.from_matrix(weights, space.student_layers, space.teacher_layers)
    return [1 - landscape.worth(hand_made(landscape, mapping))] * len(AT)
