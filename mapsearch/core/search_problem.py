"""What a proposer knows beside the trials, and what it answers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from mapsearch.core.recipe import Recipe
from mapsearch.core.space import RecipeSpace
from mapsearch.core.space_spec import SpaceSpec
from mapsearch.core.trials import Proposer


@dataclass(frozen=True)
class SearchProblem:
    """What may be proposed, on top of what.

    Attributes:
        z: the similarity standardised within each student layer, `[S, T]`; zeros where it says nothing.
        base: supplies what is not searched: weights of task and outputs, output loss, temperature.
    """

    space: RecipeSpace
    choices: SpaceSpec
    z: tuple[tuple[float, ...], ...]
    base: Recipe
    direction: Literal["maximize", "minimize"]
    seed: int


class Proposal(NamedTuple):
    """A recipe to try, and how its mapping was made; without pairs where the settings allow none.

    `params` are the numbers of its depth curve, if it is one.
    """

    recipe: Recipe
    origin: Proposer
    params: Mapping[str, Any] = {}
