"""A candidate: weights `W[S, T]` and settings, from which a recipe is made."""

from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mapsearch.core.mapping import LayerMapping
from mapsearch.core.recipe import AggregationName, BalanceName, FeatureLossName, ProjectorName
from mapsearch.core.search_problem import Proposal, SearchProblem
from mapsearch.core.space_spec import SpaceSpec
from mapsearch.core.trials import Proposer, Trial
from mapsearch.proposers.curve_numbers import Limits, limits
from mapsearch.proposers.depth_curve import DepthCurve, Weights, straight_curve


class Settings(NamedTuple):
    """What is searched beside the mapping; the fields are those of a recipe."""

    feature_share: float
    loss: FeatureLossName
    projector: ProjectorName
    aggregation: AggregationName
    balance: BalanceName
    anneal: float | None
    lr_factor: float


MOST_KNOWN = 4096
"""Trials whose candidates are kept; many more than a model learns from and workers train."""


def alternatives(choices: SpaceSpec) -> dict[str, tuple[Any, ...]]:
    """The values of every setting that is chosen from a list."""
    names = ("loss", "projector", "aggregation", "balance", "anneal")
    return {name: getattr(choices, name) for name in names} | {"lr_factor": choices.lr}


class Candidate(NamedTuple):
    """A recipe that may be proposed. `origin` says how its mapping was made, `curve` by which numbers, if by any."""

    weights: Weights
    settings: Settings
    origin: Proposer
    curve: DepthCurve | None = None


@dataclass(frozen=True)
class Candidates:
    """Recipes of a search problem as candidates, and candidates as recipes."""

    problem: SearchProblem
    _legal: dict[tuple[str, str], NDArray[np.bool_]] = field(default_factory=dict)
    _known: dict[int, tuple[Trial, Candidate]] = field(default_factory=dict)

    @property
    def n_student(self) -> int:
        """`S`."""
        return len(self.problem.space.student)

    @property
    def n_teacher(self) -> int:
        """`T`."""
        return len(self.problem.space.teacher)

    @cached_property
    def limits(self) -> Limits:
        """The ranges of depth curves."""
        return limits(self.problem.choices, self.n_student, self.n_teacher)

    def of(self, trial: Trial) -> Candidate:
        """The candidate that the trial is; of another version's depth curve only the weights are known."""
        known, candidate = self._known.get(trial.number, (None, None))
        if known is not trial or candidate is None:  # most are asked for before every proposal
            if len(self._known) >= MOST_KNOWN:
                self._known.clear()
            candidate = self._of(trial)
            self._known[trial.number] = trial, candidate
        return candidate

    def _of(self, trial: Trial) -> Candidate:
        recipe, weights = trial.recipe, np.zeros((self.n_student, self.n_teacher))
        for student, teacher, weight in recipe.mapping.pairs:
            if student in self._rows and teacher in self._columns:
                weights[self._rows[student], self._columns[teacher]] = weight
        settings = Settings(*(getattr(recipe, name) for name in Settings._fields))
        is_curve = set(trial.params) == set(DepthCurve._fields)
        curve = DepthCurve(**trial.params) if is_curve else straight_curve(weights)
        return Candidate(weights, settings, trial.proposer, curve)

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {layer: s for s, layer in enumerate(self.problem.space.student_layers)}

    @cached_property
    def _columns(self) -> dict[str, int]:
        return {layer: t for t, layer in enumerate(self.problem.space.teacher_layers)}

    @cached_property
    def _fusable(self) -> NDArray[np.bool_]:
        return np.array(self.problem.space.fusable())

    @cached_property
    def _z(self) -> Weights:
        return np.array(self.problem.z)

    def along(self, curve: DepthCurve, settings: Settings, origin: Proposer = "curve") -> Candidate | None:
        """The candidate of a depth curve, or None if no legal pair remains."""
        weights = curve.weights(self._z, self.legal(settings))
        return self.mended(Candidate(weights, settings, origin, curve))

    def legal(self, settings: Settings) -> NDArray[np.bool_]:
        """Which pairs may be matched, `[S, T]`."""
        key = settings.loss, settings.projector
        if key not in self._legal:
            self._legal[key] = np.array(self.problem.space.legal(*key))
        return self._legal[key]

    def mended(self, candidate: Candidate) -> Candidate | None:
        """The candidate without the pairs that its settings do not allow, its weights summing to one.

        None if no pair remains. A row that is mixed keeps the layers that fit its heaviest.
        """
        weights = np.where(self.legal(candidate.settings), candidate.weights, 0.0)
        if candidate.settings.aggregation != "sum":
            weights = np.where(self._fusable[weights.argmax(1)], weights, 0.0)
        total = weights.sum()
        return candidate._replace(weights=weights / total) if total > 0 else None

    def proposal(self, candidate: Candidate) -> Proposal:
        """The recipe of a candidate that was `mended`."""
        space = self.problem.space
        mapping = LayerMapping.from_matrix(candidate.weights.tolist(), space.student_layers, space.teacher_layers)
        fields: dict[str, Any] = candidate.settings._asdict()
        recipe = replace(self.problem.base, mapping=mapping, **fields)
        return Proposal(recipe, candidate.origin, candidate.curve._asdict() if candidate.curve else {})


@lru_cache(maxsize=1)
def candidates_of(problem: SearchProblem) -> Candidates:
    """The same for all proposals of a search: what follows from the problem is worked out once."""
    return Candidates(problem)
