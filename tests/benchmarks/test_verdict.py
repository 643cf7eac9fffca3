import numpy as np
import pytest

from benchmarks import verdict_pictures
from benchmarks.look_constants import constants
from benchmarks.verdict import EXTENSIONS, N_MAX, WORLDS, follow, null_paths, row, study
from mapsearch.core.looks import LOOKS
from mapsearch.verdict.looks import CONSTANTS


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


def test_look_constants_are_those_of_the_verdict():
    found = constants(100_000, (0.05, 0.0125), LOOKS[:4])
    for constant, share in zip(found, (2.0, 0.5), strict=True):
        assert constant == pytest.approx([CONSTANTS[share][n] for n in LOOKS[:4]], rel=0.05)


def test_the_pictures_of_the_documentation_are_drawn_from_what_is_recorded(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["verdict_pictures", "--folder", str(tmp_path)])
    verdict_pictures.main()
    assert {path.name for path in tmp_path.iterdir()} == {
        "verdict-questions.png", "verdict-looks.png", "verdict-power.png",
    }  # fmt: skip
