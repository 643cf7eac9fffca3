"""Other ways to propose, on the same depth curves and free choices."""

import math
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, GPSampler, TPESampler
from optuna.trial import create_trial

from mapsearch.core.search_problem import Proposal, SearchProblem
from mapsearch.core.trials import Trial
from mapsearch.proposers.candidates import Candidate, Candidates, Settings, alternatives
from mapsearch.proposers.curve_numbers import BENDS, SLOPES, SPREADS
from mapsearch.proposers.depth_curve import DepthCurve
from mapsearch.proposers.drawing import drawn_candidate, free_share
from mapsearch.proposers.moves import crossed, moved
from mapsearch.proposers.random_search import generator

optuna.logging.set_verbosity(optuna.logging.ERROR)


def tpe(seed: int) -> BaseSampler:
    """What proposed before, with its options."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        return TPESampler(seed=seed, n_startup_trials=10, multivariate=True, group=True, constant_liar=True)


def gaussian_process(seed: int) -> BaseSampler:
    """Optuna's own, which knows the numbers of curves and not what mappings they give."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        return GPSampler(seed=seed, n_startup_trials=10)


class OnNumbers:
    """A sampler of Optuna on the numbers of depth curves and, for some of the proposals, of free choices.

    It remembers the numbers of what it proposed.
    """

    def __init__(self, sampler: Any, *, free: bool = True) -> None:
        self._sampler, self._free, self._numbers = sampler, free, dict[int, dict[str, Any]]()

    def __call__(self, problem: SearchProblem, trials: Sequence[Trial], number: int) -> Proposal:
        """The recipe of the numbers that the sampler asks for."""
        candidates = Candidates(problem)
        share = free_share(problem.choices, candidates.n_student) if self._free else 0.0
        is_free = math.floor((number + 1) * share) > math.floor(number * share)
        every = distributions(candidates)
        study = optuna.create_study(direction="maximize", sampler=self._sampler(problem.seed * 1_000_003 + number))
        for trial in trials:
            params = self._numbers.get(trial.number) or numbers_of(candidates, trial)
            if params and (self._free or "teacher_0" not in params):
                kinds = every["free" if "teacher_0" in params else "curve"]
                study.add_trial(create_trial(params=params, distributions=kinds, value=trial.value))
        params = study.ask(every["free" if is_free else "curve"]).params
        self._numbers[len(trials)] = params
        candidate = candidates.mended(decoded(candidates, params))
        return candidates.proposal(candidate) if candidate else Proposal(problem.base, "free")


def distributions(candidates: Candidates) -> dict[str, dict[str, BaseDistribution]]:
    """The numbers of both spaces with their ranges."""
    choices, S, T = candidates.problem.choices, candidates.n_student, candidates.n_teacher
    shared: dict[str, BaseDistribution] = {
        name: CategoricalDistribution(v) for name, v in alternatives(choices).items()
    }
    shared["feature_share"] = FloatDistribution(*choices.feature_share)
    curve: dict[str, BaseDistribution] = {
        "start": FloatDistribution(0.0, 1.0), "end": FloatDistribution(0.0, 1.0),
        "bend": FloatDistribution(*BENDS, log=True), "spread": FloatDistribution(*SPREADS, log=True),
        "n_kept": IntDistribution(1, candidates.limits.most_kept),
        "prior": FloatDistribution(*choices.similarity_weight), "slope": FloatDistribution(*SLOPES),
        "shift": FloatDistribution(-1.0, 1.0),
    }  # fmt: skip
    free: dict[str, BaseDistribution] = {f"teacher_{s}": IntDistribution(0, T) for s in range(S)}
    return {"curve": shared | curve, "free": shared | free}


def decoded(candidates: Candidates, params: dict[str, Any]) -> Candidate:
    """The candidate of those numbers; a shift that leads off the teacher is none."""
    settings = Settings(**{name: params[name] for name in Settings._fields})
    if "teacher_0" in params:
        chosen = np.array([params[f"teacher_{s}"] for s in range(candidates.n_student)])
        weights = (np.arange(1, candidates.n_teacher + 1) == chosen[:, None]).astype(float)
        return Candidate(weights, settings, "free")
    numbers = {name: params[name] for name in DepthCurve._fields if name in params}
    ends = np.array([numbers["start"], numbers["end"]]) + numbers["shift"]
    stays = abs(numbers["shift"]) > 0.2 and ends.min() >= 0 and ends.max() <= 1
    curve = DepthCurve(**{**numbers, "shift": numbers["shift"] if stays else 0.0})
    weights = curve.weights(np.array(candidates.problem.z), candidates.legal(settings))
    return Candidate(weights, settings, "curve")


def numbers_of(candidates: Candidates, trial: Trial) -> dict[str, Any]:
    """The numbers of a control with one teacher layer a row; else none."""
    weights, settings, _, curve = candidates.of(trial)
    if trial.proposer != "control" or (np.count_nonzero(weights, axis=1) != 1).any():
        return {}
    if curve is not None:
        return settings._asdict() | {name: getattr(curve, name) for name in DepthCurve._fields[:8]}
    return settings._asdict() | {f"teacher_{s}": int(t) + 1 for s, t in enumerate(weights.argmax(1))}


def mixture(problem: SearchProblem, trials: Sequence[Trial], number: int) -> Proposal:
    """A third each: drawn at random, a neighbour of the best, a far neighbour of one of the best five.

    In the spirit of PriorBand (Mallik et al. 2023), whose prior is here the incumbent's neighbourhood.
    """
    candidates, rng = Candidates(problem), generator(problem, number)
    best = sorted(trials, key=lambda t: -(t.value or 0.0))[:5]
    steps = (0, 1, 3)[number % 3]
    parent = best[0] if steps == 1 else best[rng.integers(5)]
    candidate = candidates.of(parent) if steps else drawn_candidate(candidates, rng)
    for _ in range(steps):
        candidate = (moved(candidates, candidate, rng) if candidate else None) or candidate
    assert candidate is not None
    return candidates.proposal(candidate)


def evolution(problem: SearchProblem, trials: Sequence[Trial], number: int) -> Proposal:
    """A child of two of the best eight, moved a step or two; in the spirit of ELM (Jiao et al. 2021)."""
    candidates, rng = Candidates(problem), generator(problem, number)
    best = sorted(trials, key=lambda t: -(t.value or 0.0))[:8]
    one, other = (candidates.of(best[i]) for i in rng.integers(len(best), size=2))
    child = crossed(candidates, one, other, rng) or one
    for _ in range(rng.integers(1, 3)):
        child = moved(candidates, child, rng) or child
    return candidates.proposal(child)
