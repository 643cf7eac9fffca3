"""Recipes drawn at random, whatever is known."""

from collections.abc import Sequence

import numpy as np

from mapsearch.core.search_problem import Proposal, SearchProblem
from mapsearch.core.trials import Trial
from mapsearch.proposers.candidates import candidates_of
from mapsearch.proposers.drawing import drawn_candidate


def propose_random(problem: SearchProblem, trials: Sequence[Trial], number: int) -> Proposal:
    """A recipe drawn at random; without pairs where none was legal."""
    candidates = candidates_of(problem)
    candidate = drawn_candidate(candidates, generator(problem, number))
    return candidates.proposal(candidate) if candidate is not None else Proposal(problem.base, "curve")


def generator(problem: SearchProblem, number: int) -> np.random.Generator:
    """Random numbers of one proposal: the same wherever and whenever it is made."""
    return np.random.default_rng([problem.seed, number])
