"""Candidates drawn at random: depth curves with a similarity prior, and free choices."""

import numpy as np

from mapsearch.core.space_spec import SpaceSpec
from mapsearch.proposers.candidates import Candidate, Candidates, Settings, alternatives
from mapsearch.proposers.curve_numbers import drawn_curve
from mapsearch.proposers.depth_curve import Weights

P_ROW_OFF, P_TWO = (0.1, 0.5), 0.4
"""Of free choices: how often a row is off, in some and in others, and how often it has two teacher layers."""

MOST_DRAWS = 20
"""Where settings leave a drawn mapping without a legal pair, another is drawn: so often, then none."""


def free_share(choices: SpaceSpec, n_student: int) -> float:
    """The share of free choices: the fewer student layers, the more of all mappings they reach."""
    return choices.free if choices.free is not None else min(0.5, 1.5 / n_student)


def drawn_candidate(candidates: Candidates, rng: np.random.Generator) -> Candidate | None:
    """A mapping and settings drawn at random, or None if nothing that was drawn is legal."""
    choices, S = candidates.problem.choices, candidates.n_student
    for _ in range(MOST_DRAWS):
        settings = drawn_settings(choices, rng)
        if rng.random() < free_share(choices, S):
            candidate = candidates.mended(Candidate(_free_choice(S, candidates.n_teacher, rng), settings, "free"))
        else:
            candidate = candidates.along(drawn_curve(candidates.limits, rng), settings)
        if candidate is not None:
            return candidate
    return None


def drawn_settings(choices: SpaceSpec, rng: np.random.Generator) -> Settings:
    """Settings drawn evenly; no random number is spent where there is one value."""
    chosen = {
        name: values[rng.integers(len(values))] if len(values) > 1 else values[0]
        for name, values in alternatives(choices).items()
    }
    return Settings(feature_share=float(rng.uniform(*choices.feature_share)), **chosen)


def _free_choice(n_student: int, n_teacher: int, rng: np.random.Generator) -> Weights:
    """Every student layer for itself: off, or with one or two teacher layers anywhere; at least one is on."""
    off = rng.random(n_student) < rng.choice(P_ROW_OFF)
    off[rng.integers(n_student)] = False
    n_teachers = np.where(off, 0, 1 + (rng.random(n_student) < P_TWO))
    ranks = rng.random((n_student, n_teacher)).argsort(1)
    return np.asarray((ranks < n_teachers[:, None]).astype(float))
