import numpy as np

from benchmarks.verdict import EXTENSIONS, N_MAX, WORLDS, follow, null_paths, row, study


def test_a_study_without_a_gain_is_seldom_a_win_and_a_large_one_always():
    none = row("normal", "a fine metric", 0.0, 60)
    assert none["beats"] <= none["beats after five extensions"] <= 0.1
    large = row("normal", "400 samples (steps of 0.5)", 3.0, 40)
    assert large["beats"] >= 0.95
    assert 12 <= large["runs"] <= 40


def test_only_what_is_asked_for_is_run():
    full = study(np.random.default_rng(0), WORLDS["skewed"], 1.0, 0.0)
    _, n_runs = follow(full, N_MAX)
    _, n_extended = follow(full, EXTENSIONS[-1])
    assert 12 <= n_runs <= n_extended <= 4 * EXTENSIONS[-1]


def test_null_paths_spend_what_they_may():
    for at in null_paths(20_000):
        assert at["won"] <= at["allowed"] + 0.004
