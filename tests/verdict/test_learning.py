import numpy as np

from mapsearch.verdict.confirmed import DIVERGED
from mapsearch.verdict.learning import has_learned, nothing_learned


def stage(level, n_trials=6, n_seeds=2, sd=0.02, seed=0):
    rng = np.random.default_rng(seed)
    return {t: {s: float(level + sd * rng.standard_normal()) for s in range(n_seeds)} for t in range(n_trials)}


def test_chance_is_seldom_taken_for_learning():
    """The baseline is the better of two, so that students at chance lie a little below it."""
    assert np.mean([has_learned(stage(0.09, seed=seed), 0.1) for seed in range(400)]) <= 0.1


def test_many_recipes_a_little_above_the_baseline_have_learned():
    assert has_learned(stage(0.115, n_trials=12, seed=3), 0.1)


def test_one_recipe_that_learned_is_enough():
    assert has_learned(stage(0.1) | {9: {0: 0.3, 1: 0.31}}, 0.1)
    assert not has_learned(stage(0.08) | {9: {0: 0.1, 1: 0.11}}, 0.1)


def test_one_run_each_is_told_from_chance_by_all_together():
    assert has_learned(stage(0.2, n_seeds=1), 0.1)
    assert not has_learned({t: {0: 0.315} for t in range(6)}, 0.315), "all runs are the constant guess"
    assert has_learned({t: {0: 0.315} for t in range(3)}, 0.315), "too few to tell"
    assert has_learned({t: {0: x} for t, x in enumerate([0.52, 0.33, 0.63, 0.70, 0.67])}, 0.485), "one rate is too high"
    assert not has_learned({t: {0: x} for t, x in enumerate([0.49, 0.33, 0.45, 0.70, 0.47])}, 0.485)


def test_learned_nothing_is_said_from_six_seeds_on():
    assert nothing_learned({"none": dict(enumerate([0.1, 0.11, 0.09, 0.1, 0.12, 0.08]))}, 0.1)
    assert not nothing_learned({"none": dict(enumerate([0.1, 0.11, 0.09, 0.1]))}, 0.1)
    assert not nothing_learned({"none": dict(enumerate([0.2, 0.21, 0.19, 0.2, 0.22, 0.18]))}, 0.1)


def test_a_recipe_that_diverges_on_every_seed_has_not_learned():
    rows = {"none": dict.fromkeys(range(6), DIVERGED), "outputs": dict(enumerate([DIVERGED, *[-0.5] * 5]))}
    assert nothing_learned({"none": rows["none"]}, -1.0)
    assert not nothing_learned(rows, -1.0)
