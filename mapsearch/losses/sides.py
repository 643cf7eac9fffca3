"""Losses in two sides and a distance, so that what the teacher's side gives is made once for a batch.

The pairs and students that a batch teaches have it in common: whatever is not theirs alone need not be made for each.
"""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import torch.nn.functional as F
from torch import Tensor

from mapsearch.core.recipe import FeatureLossName
from mapsearch.losses.distributions import maps_apart, unit_maps
from mapsearch.losses.feature_rows import averaged_to, positions
from mapsearch.losses.features import (
    cosine_of_rows,
    energy_map,
    negative_log_likelihood,
    squared_distance,
    unexplained_variance,
    with_energy,
    with_variance,
)
from mapsearch.losses.projectors import Projector
from mapsearch.losses.relations import (
    angles_apart,
    centred_gram,
    cka_distance,
    distances_apart,
    pick_probabilities,
    picks_apart,
    relative_distances,
    squared_distances,
    unit_gram,
)

Made = TypeVar("Made")
Side = Callable[[Tensor, Tensor | None], Any]


@dataclass(frozen=True)
class Sides:
    """What a loss makes of a student's and of a teacher's feature and mask, and the distance between the two."""

    student: Side
    teacher: Side
    distance: Callable[..., Tensor]


SIDES: Mapping[FeatureLossName, Sides] = {
    "nmse": Sides(positions, with_energy, unexplained_variance),
    "mse": Sides(positions, positions, F.mse_loss),
    "cosine": Sides(positions, positions, cosine_of_rows),
    "vid": Sides(positions, with_variance, negative_log_likelihood),
    "attention": Sides(energy_map, energy_map, squared_distance),
    "nst": Sides(unit_maps, unit_maps, maps_apart),
    "gram": Sides(unit_gram, unit_gram, squared_distance),
    "relational_distance": Sides(relative_distances, relative_distances, distances_apart),
    "relational_angle": Sides(squared_distances, squared_distances, angles_apart),
    "pkt": Sides(pick_probabilities, pick_probabilities, picks_apart),
    "cka": Sides(centred_gram, centred_gram, cka_distance),
}
"""All but `attention_relation`, which cuts the teacher's channels into as many heads as divide the student's too."""


class Memo:
    """What was made of the features of one batch, by what it depends on; tensors in a key count by identity."""

    def __init__(self) -> None:
        self._made: dict[Hashable, Any] = {}

    def once(self, key: Hashable, make: Callable[[], Made]) -> Made:
        """What was made under that key, or is made now."""
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]  # type: ignore[no-any-return]


class TeacherFeatures(dict[str, Tensor], Memo):
    """A teacher's features of one batch by layer path, and what losses made of them, as long as the batch lives."""

    def __init__(self, features: Mapping[str, Tensor]) -> None:
        dict.__init__(self, features)
        Memo.__init__(self)


def shared_loss(
    loss: FeatureLossName, projector: Projector, student: Tensor, teacher: TeacherFeatures, path: str,
    mask: Tensor | None, averaged: Memo,
) -> Tensor:  # fmt: skip
    """The loss between a student's feature and the teacher's of that path, a scalar.

    Args:
        averaged: what the student's features came to on the grids of other pairs.
    """
    sides, (kinds, grids) = SIDES[loss], (projector.kinds, projector.grids)
    s, t = projector.channels_second(student, teacher[path])
    grid = projector.common_grid(s, t)
    on_grid = averaged.once((student, kinds[0], grids[0], grid), lambda: averaged_to(s, grid))
    target = teacher.once(
        (loss, path, kinds[1], grids[1], grid, mask), lambda: sides.teacher(averaged_to(t, grid), mask)
    )
    return sides.distance(sides.student(projector.project(on_grid), mask), target, **projector.learned)
