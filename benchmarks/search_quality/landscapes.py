"""Synthetic landscapes: what every mapping would be worth, planted and therefore known.

A student layer wants a teacher layer, or two, and near ones do nearly as well. A mapping's worth, 0 to 1, is the mean
over student layers of how well each is served, weighted by how much each matters; one that gets less than its due of
the weight learns less. Settings other than the best ones cost a few hundredths. A toy: it shows orderings, not
what happens in networks.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from mapsearch.core.layers import Layer
from mapsearch.core.recipe import Recipe
from mapsearch.core.search_problem import SearchProblem
from mapsearch.core.similarity import Similarity
from mapsearch.core.space import RecipeSpace
from mapsearch.core.space_spec import SpaceSpec
from mapsearch.proposers.candidates import Settings

Floats = NDArray[np.float64]
Kind = Literal["curve", "arbitrary", "single pair", "two far teachers", "two far teachers, arbitrary"]
"""What is wanted: a rising curve of teacher layers, any of them, one pair and nothing else, two rising curves about
half a teacher apart with both teachers in every row, or any two at least a third of the teacher apart."""
SimilarityKind = Literal["right", "inverted", "uninformative"]

CHOICES = SpaceSpec()
COST = {"feature_share": 0.05, "loss": 0.02, "anneal": 0.02, "lr_factor": 0.03}
"""What a wrong setting costs: a share for each 0.4 it is off, squared; a rate for each step it is off."""
RUNG_NOISE = (1.0, 0.7, 0.5)
"""Standard deviation of a run at each rung, in units of the first one's; half as much is common to all of a seed."""


@dataclass(frozen=True)
class Landscape:
    """One planted landscape; all that is random follows from `instance`."""

    kind: Kind
    n_student: int
    n_teacher: int
    similarity_kind: SimilarityKind
    noise: float
    instance: int

    @cached_property
    def space(self) -> RecipeSpace:
        """Layers between which every pair is legal."""
        sizes = {"student": self.n_student, "teacher": self.n_teacher}
        layers = (tuple(Layer(f"{x}.{i}", "B", "vector", (8,), 1) for i in range(n)) for x, n in sizes.items())
        return RecipeSpace(*layers)

    @cached_property
    def similarity(self) -> Similarity:
        """Measured: the wanted layers, or the unwanted ones, with noise; or noise alone."""
        wanted, noise = self._wanted.max(0), self._generator(1).standard_normal((self.n_student, self.n_teacher))
        values = {"right": wanted + 0.2 * noise, "inverted": -wanted + 0.2 * noise, "uninformative": noise}
        rows = tuple(map(tuple, values[self.similarity_kind].tolist()))
        return Similarity(self.space.student_layers, self.space.teacher_layers, rows, 0.05, "cka", 64, "")

    @cached_property
    def problem(self) -> SearchProblem:
        """What a proposer is told."""
        z = tuple(map(tuple, self.similarity.z()))
        return SearchProblem(self.space, CHOICES, z, Recipe(output_weight=1.0), "maximize", self.instance)

    def worth(self, recipe: Recipe) -> float:
        """The true value of a recipe; the best is 1."""
        if not recipe.mapping.pairs:
            return 0.0
        weights = np.array(recipe.mapping.matrix(self.space.student_layers, self.space.teacher_layers))
        rows = weights.sum(1)
        served = np.einsum("st,kst->ks", weights / np.maximum(rows, 1e-12)[:, None], self._wanted)
        match = served[0] if len(served) == 1 else 4 * served[0] * served[1]  # half of the row's weight each is best
        due = np.minimum(1.0, rows / rows.sum() / np.maximum(self._importance, 1e-12))
        taught = due if self.kind == "single pair" else np.sqrt(due)
        return float(self._importance @ (np.minimum(match, 1.0) * taught)) - self._setting_costs(recipe)

    def run(self, recipe: Recipe, rung: int, seed: int, trial: int) -> float:
        """The value of one run: the same whenever it is asked for."""
        sd = self.noise * RUNG_NOISE[rung]
        common = self._generator(2, seed).standard_normal()
        return self.worth(recipe) + sd * float(common / 2 + self._generator(3, seed, rung, trial).standard_normal())

    def _generator(self, *purpose: int) -> np.random.Generator:
        kind = get_args(Kind).index(self.kind)
        return np.random.default_rng([self.instance, kind, self.n_student, self.n_teacher, *purpose])

    @cached_property
    def _importance(self) -> Floats:
        rng = self._generator(4)
        if self.kind == "single pair":
            return np.eye(self.n_student)[rng.integers(self.n_student)]
        importance = np.exp(0.3 * rng.standard_normal(self.n_student))
        return np.asarray(importance / importance.sum())

    @cached_property
    def _wanted(self) -> Floats:
        """How well each teacher layer serves each student layer, for one or both of its wishes, `[1 or 2, S, T]`."""
        rng, S, T = self._generator(5), self.n_student, self.n_teacher
        x, bend = np.linspace(0.0, 1.0, S), np.exp(rng.uniform(-0.7, 0.7))
        if self.kind == "curve":
            start, end = rng.uniform(0, 0.3), rng.uniform(0.7, 1)
            positions = [(T - 1) * (start + (end - start) * x**bend)]
        elif self.kind == "two far teachers":
            apart = rng.uniform(0.4, 0.6)
            first = rng.uniform(0, 0.1) + (0.9 - apart) * x**bend
            positions = [(T - 1) * first, (T - 1) * (first + apart)]
        elif self.kind == "two far teachers, arbitrary":
            first = rng.integers(0, T // 2, S)
            positions = [first, np.minimum(T - 1, first + rng.integers(T // 3, T // 2 + 1, S))]
        else:
            positions = [rng.integers(0, T, S)]
        width = T / (8 if len(positions) == 1 else 12)
        at = np.round(np.array(positions))[:, :, None]
        return np.asarray(np.exp(-((np.arange(T) - at) ** 2) / (2 * width**2)))

    @cached_property
    def _best_settings(self) -> Settings:
        rng = self._generator(6)
        loss, anneal = CHOICES.loss[rng.integers(2)], CHOICES.anneal[rng.integers(2)]
        rate = CHOICES.lr[rng.choice(3, p=[0.2, 0.6, 0.2])]
        return Settings(rng.uniform(0.2, 0.8), loss, "linear", "sum", "frozen", anneal, rate)

    def _setting_costs(self, recipe: Recipe) -> float:
        best = self._best_settings
        return (
            COST["feature_share"] * ((recipe.feature_share - best.feature_share) / 0.4) ** 2
            + COST["loss"] * (recipe.loss != best.loss)
            + COST["anneal"] * (recipe.anneal != best.anneal)
            + COST["lr_factor"] * abs(CHOICES.lr.index(recipe.lr_factor) - CHOICES.lr.index(best.lr_factor))
        )
