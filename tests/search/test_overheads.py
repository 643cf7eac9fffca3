"""Costs of recipes come from all that share their parts: noise of single timings cancels."""

import random
from dataclasses import replace
from statistics import median

import pytest
from search_samples import LOGITS

from mapsearch import search
from mapsearch.core.mapping import LayerMapping
from mapsearch.core.overheads import Overheads, parts_of
from mapsearch.core.recipe import Recipe
from mapsearch.core.runs import Run, RunResult
from mapsearch.core.trials import Trial

COSTS = {
    "features": 0.1,
    "loss nmse linear sum": 0.05,
    "loss gram linear sum": 0.15,
    "student s.1": 0.02,
    "teacher t.3": 0.03,
}


def recipe(rng):
    pairs = {(f"s.{s}", f"t.{rng.randrange(4)}"): rng.random() + 0.1 for s in range(2) for _ in range(2)}
    mapping = LayerMapping([(*pair, weight) for pair, weight in pairs.items()])
    return Recipe(mapping, rng.choice(["nmse", "gram"]), feature_share=0.5)


def true_overhead(recipe):
    return 1.0 + sum(n * COSTS.get(part, 0.0) for part, n in parts_of(recipe.to_json()).items())


def run(number, seconds, seed=0):
    result = RunResult((number, 0, seed), "complete", seconds=seconds)
    return Run(number, 0, seed, "search", "valid", 10, "complete", 1, 0.5, result)


@pytest.fixture
def study():
    """Sixty recipes timed on three seeds, 10 % off as a rule, and every eighth run while something else ran beside.

    One of the runs of `outputs` is such a run, and all runs of later seeds are slower.
    """
    rng = random.Random(0)
    trials = [Trial(0, "control", LOGITS, control="outputs"), *(Trial(n, "curve", recipe(rng)) for n in range(1, 61))]
    trials += [replace(trials[7], number=61), replace(trials[7], number=62)]
    runs = []
    for t in trials:
        overhead = true_overhead(t.recipe) if t.recipe.mapping.pairs else 1.0
        for seed in range(3):
            beside = 6.0 if (3 * t.number + seed) % 8 == 0 else 1.0
            runs.append(run(t.number, (2.0 + seed) * overhead * beside * rng.lognormvariate(0, 0.1), seed))
    return trials, runs


def test_smoothed_overheads_are_nearer_to_the_truth_than_measured_ones(study):
    trials, runs = study
    fitted = search.fit_overheads(trials, runs)
    seconds = {run.key: run.result.seconds for run in runs}
    measured = [median(seconds[t.number, 0, seed] / seconds[0, 0, seed] for seed in range(3)) for t in trials[1:]]
    truth = [true_overhead(t.recipe) for t in trials[1:]]
    errors = [abs(fitted.of(t.recipe.to_json()) - true) for t, true in zip(trials[1:], truth, strict=True)]
    raw = [abs(one - true) for one, true in zip(measured, truth, strict=True)]
    assert median(errors) < median(raw) / 2
    assert max(errors) < 0.25 < max(raw)


def test_equal_recipes_cost_the_same_whatever_was_measured(study):
    fitted = search.fit_overheads(*study)
    one, two, three = (fitted.of(study[0][n].recipe.to_json()) for n in (7, 61, 62))
    assert one == two == three
    heavier = replace(study[0][7].recipe, feature_share=0.9, lr_factor=3.0)
    assert fitted.of(heavier.to_json()) == one, "neither share nor learning rate takes time"


def test_nothing_is_said_without_a_run_to_compare_with(study):
    trials, runs = study
    assert search.fit_overheads(trials, [r for r in runs if r.trial != 0]) is None
    assert search.fit_overheads(trials[1:], runs) is None
    assert search.fit_overheads(trials[:1], runs[:3]) is None
    later = [replace(r, seed=r.seed + 9) if r.trial else r for r in runs]
    assert search.fit_overheads(trials, later) is None, "nothing in common"


def test_features_never_take_less_time_than_none(study):
    trials, runs = study
    faster = [replace(r, result=replace(r.result, seconds=r.result.seconds / 4)) if r.trial else r for r in runs]
    fitted = search.fit_overheads(trials, faster)
    assert all(1.0 <= fitted.of(t.recipe.to_json()) < 1.05 for t in trials[1:])


def test_rows_are_terms_where_they_are_mixed():
    mapping = LayerMapping([("s.0", "t.0", 1.0), ("s.0", "t.1", 1.0)])
    summed, mixed = (Recipe(mapping, feature_share=0.5, aggregation=how).to_json() for how in ("sum", "mix"))
    assert parts_of(summed)["loss nmse linear sum"] == 2
    assert parts_of(mixed)["loss nmse linear mix"] == 1
    assert parts_of(mixed)["teacher t.1"] == 1


def test_they_are_the_same_after_json(study):
    fitted = search.fit_overheads(*study)
    assert Overheads.from_json(fitted.to_json()) == fitted
