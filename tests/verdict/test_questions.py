import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mapsearch.verdict.questions import NONE, OUTPUTS, OUTPUTS_NONE, UNIFORM, answer

SEEDS = list(range(1000, 1030))


def world(seed=0, n=30, noise=0.01, **levels):
    """Metric by name and seed; half of each trial's noise is shared by all."""
    rng = np.random.default_rng(seed)
    common = rng.standard_normal(n)
    return {
        name: {SEEDS[i]: float(level + noise * (common[i] + rng.standard_normal()) / 2**0.5) for i in range(n)}
        for name, level in levels.items()
    }


def followed(full, margin=0.005, n_max=14):
    """The answers when only what is wanted is run, and how many runs each trial got."""
    values = {name: {} for name in full}
    while (answers := answer(values, SEEDS, margin, n_max)).wanted:
        for name, n in answers.wanted.items():
            values[name] = {seed: full[name][seed] for seed in SEEDS[:n]}
    return answers, {name: len(row) for name, row in values.items()}


def test_the_first_look_runs_the_nominee_and_the_controls_without_features():
    answers = answer({"nominee": {}, "none": {}, "outputs": {}, "uniform": {}}, SEEDS, 0.01, 14)
    assert answers.wanted == {"nominee": 4, "none": 4, "outputs": 4}
    assert not answers.looks


def test_an_answered_control_is_not_run_again_and_uniform_catches_up():
    answers, n_runs = followed(world(nominee=0.9, none=0.3, outputs=0.88, uniform=0.8))
    assert [answers.outcome(q) for q in (NONE, OUTPUTS, UNIFORM)] == ["BEATS"] * 3
    assert n_runs["none"] == 4
    assert n_runs["uniform"] == n_runs["nominee"] > 4
    assert answers.looks[UNIFORM].n_seeds == n_runs["uniform"]


def test_uniform_is_not_asked_before_outputs_are_beaten():
    answers, n_runs = followed(world(nominee=0.9, none=0.3, outputs=0.9, uniform=0.9), margin=0.02)
    assert answers.outcome(OUTPUTS) == "TIES"
    assert answers.outcome(UNIFORM) is None
    assert n_runs["uniform"] == 0


def test_a_nominee_that_does_not_beat_none_is_dropped_for_outputs():
    answers, n_runs = followed(world(nominee=0.3, none=0.5, outputs=0.9, uniform=0.3))
    assert answers.outcome(NONE) == "WORSE"
    assert answers.outcome(OUTPUTS_NONE) == "BEATS"
    assert n_runs["uniform"] == 0


def test_a_win_against_outputs_counts_only_after_one_against_none():
    full = world(nominee=0.9, outputs=0.7, uniform=0.8) | world(seed=1, noise=0.5, none=0.85)
    answers, _ = followed(full)
    assert answers.outcome(OUTPUTS) == "BEATS"
    assert answers.outcome(NONE) == "INCONCLUSIVE"
    assert answers.outcome(UNIFORM) is None


def test_without_a_nominee_only_the_controls_are_asked_about():
    answers, n_runs = followed(world(none=0.5, outputs=0.9))
    assert set(answers.looks) == {OUTPUTS_NONE}
    assert n_runs == {"none": 4, "outputs": 4}


@pytest.mark.parametrize(
    ("trials", "asked"),
    [
        ({"nominee": 0.9, "outputs": 0.5, "uniform": 0.5}, [OUTPUTS, UNIFORM]),
        ({"nominee": 0.9, "none": 0.5, "uniform": 0.5}, [NONE, UNIFORM]),
        ({"nominee": 0.9, "uniform": 0.5}, [UNIFORM]),
        ({"nominee": 0.9, "none": 0.5, "outputs": 0.5}, [NONE, OUTPUTS]),
        ({"nominee": 0.9}, []),
    ],
)
def test_what_a_task_lacks_is_not_asked(trials, asked):
    answers, _ = followed(world(**trials))
    assert sorted(answers.looks) == sorted(asked)
    assert all(found.outcome == "BEATS" for found in answers.looks.values())


@given(st.integers(0, 200), st.sampled_from([0.0, 0.005, 0.01, 0.02]))
def test_to_extend_a_study_is_as_if_it_had_been_asked_for_at_once(seed, gain):
    full = world(seed, nominee=0.5 + gain, none=0.3, outputs=0.5, uniform=0.5)
    values = {name: {} for name in full}
    for n_max in (6, 14, 30):
        while (answers := answer(values, SEEDS, 0.003, n_max)).wanted:
            for name, n in answers.wanted.items():
                values[name] |= {s: full[name][s] for s in SEEDS[:n]}
    at_once, _ = followed(full, margin=0.003, n_max=30)
    assert answers.looks == at_once.looks


def test_equal_recipes_cost_few_runs_and_a_study_is_seldom_undecided():
    """In seed standard deviations, correlation 0.5, margin one: benchmarks/verdict.py has it at length."""
    outcomes = []
    for seed in range(120):
        answers, n_runs = followed(world(seed, nominee=1.0, none=-8.0, outputs=1.0, uniform=1.0, noise=1.0), margin=1.0)
        outcomes.append((answers.outcome(OUTPUTS), sum(n_runs.values())))
    assert sum(outcome == "TIES" for outcome, _ in outcomes) >= 0.55 * len(outcomes)
    assert sum(outcome == "BEATS" for outcome, _ in outcomes) <= 0.05 * len(outcomes)
    assert np.mean([n for _, n in outcomes]) <= 30
