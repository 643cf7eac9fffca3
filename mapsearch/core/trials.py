"""A trial: one recipe of a study, proposed or hand-made, and its value."""

from dataclasses import dataclass, field
from typing import Any, Literal

from mapsearch.core.recipe import Recipe

TrialState = Literal["waiting", "complete", "infeasible", "crashed"]


Proposer = Literal["tune", "control", "curve", "free", "move", "ported", "matched"]

PROPOSALS: tuple[Proposer, ...] = ("curve", "free", "move", "ported")
"""Whoever proposes recipes with features in the search."""


@dataclass(frozen=True)
class Trial:
    """One recipe of the study.

    `control` names the control it stands for, or is empty. `params` are the numbers of its depth curve, if
    it is one. `sampler_number` is its number in the Optuna study that records the search, None if it is not
    recorded. `value` is the mean metric of its complete runs at the first rung (at the tune rung for
    `proposer="tune"`).
    """

    number: int
    proposer: Proposer
    recipe: Recipe
    control: str = ""
    params: dict[str, Any] = field(default_factory=dict)
    sampler_number: int | None = None
    state: TrialState = "waiting"
    value: float | None = None
