"""What a new study takes over from an old one, and whether that carries."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from mapsearch.core.recipe import Recipe
from mapsearch.core.space import RecipeSpace
from mapsearch.core.trials import Trial

LEAST_COMPARED = 6
"""Recipes run in both studies below which no rank correlation tells anything."""

ALPHA = 0.1
"""The old study's ranking is used when a rank correlation as large comes by chance with at most this probability."""


@dataclass(frozen=True)
class OldStudy:
    """A study as another one takes it over; `sign` turns its metric so that larger is better, `nominee` is a number."""

    name: str
    space: RecipeSpace
    trials: tuple[Trial, ...]
    sign: float
    nominee: int | None


@dataclass(frozen=True)
class Carried:
    """A recipe of the old study between the layers of the new one.

    `gain` is its value in the old study, larger is better, and `trial` its number there.
    """

    trial: int
    gain: float
    recipe: Recipe


@dataclass(frozen=True)
class Port:
    """What was carried from the study `name`, best first, and what was not, by number and reason.

    `again` are numbers of the old study: recipes that are run again before anything else, to see whether the old
    ranking holds here. `controls` are the old gains of the controls, which both studies run. `correlation` is Kendall's
    between old and new values over `n_compared` recipes, `p_value` its one-sided p; None until it is measured.
    """

    name: str
    carried: tuple[Carried, ...]
    left_out: tuple[tuple[int, str], ...] = ()
    again: tuple[int, ...] = ()
    controls: Mapping[str, float] = field(default_factory=dict)
    n_compared: int | None = None
    correlation: float | None = None
    p_value: float | None = None

    @property
    def is_measured(self) -> bool:
        """Whether what was to be run again was."""
        return self.n_compared is not None

    @property
    def holds(self) -> bool:
        """Whether the old study's ranking was found again, beyond chance."""
        return self.p_value is not None and self.p_value <= ALPHA

    def to_json(self) -> dict[str, Any]:
        """Plain data; `from_json` gives an equal port back."""
        carried = [{**asdict(row), "recipe": row.recipe.to_json()} for row in self.carried]
        return {
            **asdict(self),
            "carried": carried,
            "left_out": list(map(list, self.left_out)),
            "again": list(self.again),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Port":
        """The port that `to_json` wrote."""
        carried = tuple(Carried(**{**row, "recipe": Recipe.from_json(row["recipe"])}) for row in data["carried"])
        left_out = tuple((number, why) for number, why in data["left_out"])
        return cls(**{**data, "carried": carried, "left_out": left_out, "again": tuple(data["again"])})
