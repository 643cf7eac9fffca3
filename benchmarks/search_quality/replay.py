"""A search on a landscape: controls, proposals, the race of the shortlist, and the nominee's regret."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from statistics import fmean

from benchmarks.search_quality.landscapes import Landscape
from mapsearch import search
from mapsearch.core.mapping import LayerMapping
from mapsearch.core.recipe import Recipe
from mapsearch.core.runs import Run
from mapsearch.core.search_problem import Proposal, SearchProblem
from mapsearch.core.trials import Trial
from mapsearch.proposers.controls import distinct_mappings, mapping_controls

Propose = Callable[[SearchProblem, Sequence[Trial], int], Proposal]

AT = (10, 20, 40)
"""Proposals after which the search might end."""
N_FINALISTS = 3
RUNG_STEPS = (0.15, 0.4, 1.0)


def regrets(landscape: Landscape, propose: Propose) -> list[float]:
    """How far the nominee is from the best recipe, after so many proposals each."""
    trials, found = controls(landscape), []
    for number in range(max(AT)):
        proposal = propose(landscape.problem, trials, number)
        trial = Trial(len(trials), proposal.origin, proposal.recipe, params=dict(proposal.params))
        value = landscape.run(trial.recipe, search.SEARCH, 0, trial.number)
        trials.append(replace(trial, state="complete", value=value))
        if number + 1 in AT:
            found.append(regret(landscape, trials))
    return found


def regrets_of_replicated_controls(landscape: Landscape) -> list[float]:
    """The same where all runs go to the hand-made mappings, over and over."""
    found = []
    for n in AT:
        trials = controls(landscape)
        seeds = range(max(1, round((len(trials) + n) / len(trials))))
        values = {t.number: [landscape.run(t.recipe, search.SEARCH, seed, t.number) for seed in seeds] for t in trials}
        found.append(regret(landscape, [replace(t, value=fmean(values[t.number])) for t in trials]))
    return found


def controls(landscape: Landscape) -> list[Trial]:
    """The hand-made mappings, each run once."""
    legal = [[True] * landscape.n_teacher for _ in range(landscape.n_student)]
    mappings, _ = distinct_mappings(mapping_controls(landscape.space, landscape.similarity, legal, landscape.instance))
    recipes = {name: hand_made(landscape, mapping) for name, mapping in mappings.items()}
    trials = [Trial(i, "control", recipe, control=name) for i, (name, recipe) in enumerate(recipes.items())]
    values = [landscape.run(t.recipe, search.SEARCH, 0, t.number) for t in trials]
    return [replace(t, state="complete", value=value) for t, value in zip(trials, values, strict=True)]


def hand_made(landscape: Landscape, mapping: LayerMapping) -> Recipe:
    """The mapping with settings that nobody searched."""
    return replace(landscape.problem.base, mapping=mapping, feature_share=0.5)


def regret(landscape: Landscape, trials: Sequence[Trial]) -> float:
    """Of the recipe that wins the product's race on fresh seeds: longer each time, the last at the full schedule."""
    best, runs = search.shortlist(trials, "maximize"), list[Run]()
    raced = search.n_raced(len(best), N_FINALISTS)
    rounds = ((search.TUNE, [500], raced), (search.TUNE, [501], N_FINALISTS), (search.FULL, [502, 503], 1))
    keys = set[tuple[int, int]]()
    for rung, seeds, n_left in rounds:
        for trial in best:
            runs += [_run(landscape, trial, rung, seed) for seed in seeds]
        keys = {key for key in keys if key[0] == rung} | {(rung, seed) for seed in seeds}
        best = search.best_of_round(best, runs, keys, n_left, "maximize")
    return 1 - landscape.worth(best[0].recipe)


def cost(n_controls: int, n_proposals: int) -> float:
    """What such a search takes, in full-run equivalents."""
    first = search.n_shortlisted(n_controls + n_proposals)
    raced = first + search.n_raced(first, N_FINALISTS)
    short, middle, full = RUNG_STEPS
    return short * (n_controls + n_proposals) + middle * raced + full * 2 * N_FINALISTS


def _run(landscape: Landscape, trial: Trial, rung: int, seed: int) -> Run:
    value = landscape.run(trial.recipe, rung, seed, trial.number)
    return Run(trial.number, rung, seed, "shortlist", "valid", 1, "complete", 1, value, None)
