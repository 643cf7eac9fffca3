"""The most promising of many recipes, by a model of what those tried were worth."""

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np
from threadpoolctl import ThreadpoolController

from mapsearch.core.recipe import Recipe
from mapsearch.core.search_problem import Proposal, SearchProblem
from mapsearch.core.trials import Trial
from mapsearch.proposers.candidates import Candidate, Candidates, Settings, candidates_of
from mapsearch.proposers.depth_curve import DepthCurve
from mapsearch.proposers.drawing import drawn_candidate, drawn_settings
from mapsearch.proposers.history import History
from mapsearch.proposers.moves import crossed, moved
from mapsearch.proposers.random_search import generator, propose_random
from mapsearch.proposers.surrogate import Floats, Surrogate, fitted, points

N_DRAWN, N_RESET, N_MOVED, N_ROUNDS = 100, 20, 80, 2
"""Candidates of a proposal: drawn at random, the best that were tried at other settings, and moved from the best of
them in each round."""

N_PARENTS, MOST_MOVES, P_CROSSED = 10, 3, 0.25
"""Moves begin at so many candidates, so many follow each other, some begin at the rows of two."""

EVEN_PAIR = DepthCurve(0.0, 0.5, shift=0.5)
"""What `uniform` is among mappings with one teacher layer a row, with two, half a teacher apart: chance rarely draws
two far teachers that serve, and without one the model learns nothing of them."""

AT_RANDOM, AT_OTHER_SETTINGS = 1, 3
"""Of every four proposals, those in which the model does not choose the mapping and its settings together."""

LEAST_TOLD = 4
"""Trials before anything is modelled; controls count."""

MOST_TOLD = 240
"""Trials that the model learns from: half of them the best, half the newest. Its cost grows with their cube."""


def propose_by_model(problem: SearchProblem, trials: Sequence[Trial], number: int) -> Proposal:
    """The candidate of the largest upper confidence bound under a Gaussian process over mappings and settings.

    The bound's width is drawn for each proposal, so that those made at once differ. Trials that still train are taken
    to end as the model expects. Every other proposal is drawn at random: a model alone would follow the noise. Where
    settings matter, every other of those is one of the best mappings at settings drawn at random, for at a wrong loss
    or rate a good mapping looks bad. What was tried is not proposed again: on the same seed it would end the same.

    Source: Srinivas et al. 2010 (the bound); Berk et al. 2020 (its width at random).
    """
    with _blas().limit(limits=1, user_api="blas"):
        return _proposed(problem, trials, number)


@lru_cache(maxsize=1)
def _blas() -> ThreadpoolController:
    """Beside workers that keep all cores busy, more threads on matrices this small would wait for each other."""
    return ThreadpoolController()


def _proposed(problem: SearchProblem, trials: Sequence[Trial], number: int) -> Proposal:
    history = History.of(trials)
    if len(history.values) < LEAST_TOLD or number % 4 == AT_RANDOM:
        return propose_random(problem, trials, number)
    candidates, rng = candidates_of(problem), generator(problem, number)
    known, values = _told(problem, history)
    told = [candidates.of(t) for t in known]
    if even := _even_pair(candidates, history, told[int(values.argmax())].settings):
        return even
    spread = float(values.std()) or 1.0
    model = fitted(points(told), (values - values.mean()) / spread)
    if waiting := [candidates.of(t) for t in history.waiting]:
        model = model.believing(points(waiting))
    expected = model.expected_of_told()[: len(told)]  # those that still train come after them
    leading = [told[i] for i in np.argsort(-expected)[:N_PARENTS]]
    if number % 4 == AT_OTHER_SETTINGS:
        best = _at_other_settings(candidates, leading, rng) if model.settings_matter else []
    else:
        best = _best(candidates, leading, model, rng.exponential(), rng)
    new = (p for p in map(candidates.proposal, best) if not _was_tried(p.recipe, history))
    return next(new, None) or propose_random(problem, trials, number)


def _was_tried(recipe: Recipe, history: History) -> bool:
    """Whether one of the trials teaches the same, whatever unit its weights were written in."""
    shared = history.recipes_of_share(recipe.feature_share)
    alike = (tried for tried in shared if tried.mapping.normalised() == recipe.mapping)
    return any(replace(tried, mapping=recipe.mapping) == recipe for tried in alike)


def _even_pair(candidates: Candidates, history: History, settings: Settings) -> Proposal | None:
    """The even pair at these settings; None if it was proposed at any or tried at these, or cannot be."""
    params = EVEN_PAIR._asdict()
    if any(t.params == params for t in history) or (even := candidates.along(EVEN_PAIR, settings)) is None:
        return None
    proposal = candidates.proposal(even)
    return None if _was_tried(proposal.recipe, history) else proposal


def _at_other_settings(
    candidates: Candidates, leading: Sequence[Candidate], rng: np.random.Generator
) -> list[Candidate]:
    """Mappings of the leading ones, with settings drawn at random."""
    choices = candidates.problem.choices
    mappings = (leading[int(i)] for i in rng.integers(len(leading), size=N_RESET))
    reset = (c._replace(settings=drawn_settings(choices, rng), origin="move") for c in mappings)
    return [legal for c in reset if (legal := candidates.mended(c)) is not None]


def _best(
    candidates: Candidates, leading: Sequence[Candidate], model: Surrogate, width: float, rng: np.random.Generator
) -> list[Candidate]:
    """The most promising, best first; moves begin at the leading ones."""

    def bounds(those: Sequence[Candidate]) -> Floats:
        expected, deviation = model.predict(points(those))
        return expected + width * deviation

    parents, pool = leading, [c for _ in range(N_DRAWN) if (c := drawn_candidate(candidates, rng)) is not None]
    pool += _at_other_settings(candidates, leading, rng)
    for _ in range(N_ROUNDS):
        pool += [c for _ in range(N_MOVED) if (c := _child(candidates, parents, rng)) is not None]
        pool = parents = [pool[i] for i in np.argsort(-bounds(pool), kind="stable")[:N_PARENTS]]
    return pool


def _child(candidates: Candidates, parents: Sequence[Candidate], rng: np.random.Generator) -> Candidate | None:
    one, other = (parents[int(i)] for i in rng.integers(len(parents), size=2))
    child = crossed(candidates, one, other, rng) if rng.random() < P_CROSSED else one
    for _ in range(rng.integers(1, MOST_MOVES + 1)):
        child = moved(candidates, child, rng) if child is not None else None
    return child


def _told(problem: SearchProblem, history: History) -> tuple[list[Trial], Floats]:
    """Trials that ended and what they are worth, more being better; what could not be run is the worst."""
    values, chosen = np.array(history.values), np.arange(len(history.values))
    values *= 1.0 if problem.direction == "maximize" else -1.0
    is_lost = np.isnan(values)
    values[is_lost] = values[~is_lost].min() if not is_lost.all() else 0.0
    if len(values) > MOST_TOLD:
        half = MOST_TOLD // 2
        best = np.argsort(-values[:-half], kind="stable")[:half]
        chosen = np.concatenate([best, chosen[-half:]])
    return [history.ended(int(i)) for i in chosen], values[chosen]
