"""What people read of a study: tables and sentences."""

import subprocess
import sys

import pytest
from rich.console import Console

from mapsearch.core.layers import Layer
from mapsearch.core.mapping import LayerMapping, Pair
from mapsearch.core.recipe import Recipe
from mapsearch.core.summaries import TrialSummary
from mapsearch.core.verdict import Against, Noise, Question, Verdict
from mapsearch.report import study as report

MAPPING = LayerMapping((Pair("s.0", "t.1", 1.0),))


@pytest.fixture
def shown():
    """`shown(table)` -> its text on a wide terminal."""

    def text(table):
        console = Console(width=300)
        with console.capture() as capture:
            console.print(table)
        return capture.get()

    return text


def trial(number, control="", value=0.5, **fields):
    recipe = Recipe(MAPPING, feature_share=0.5).to_json()
    proposer = "control" if control else "curve"
    return TrialSummary(number, proposer, control, "complete" if value else "infeasible", value, recipe, {}, **fields)


def test_it_needs_no_torch():
    code = "import sys, mapsearch.report.study; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


@pytest.mark.parametrize(
    ("noise", "when_flat", "said"),
    [
        (Noise(0.01, 0.05, False), "continue", "mappings differ by more than chance"),
        (Noise(0.01, 0.0, True), "continue", "`search.when_flat: stop` in the study file would save the search"),
        (Noise(0.01, 0.0, True), "stop", "the mapping may not matter"),
    ],
)
def test_the_sentence_on_noise(noise, when_flat, said):
    assert report.noise_sentence(noise, when_flat).endswith(said)


def test_the_verdict_as_a_table(shown):
    questions = (
        Question("outputs", "nominee", 7, True, "", "TIES", 0.01, -0.02, 0.04, 0.5, 6),
        Question("uniform", "nominee", 8, asked=False, why_not="features must beat `none` and `outputs` first"),
        Question("none", "outputs", 9, True, "", "BEATS", 0.2, 0.1, 0.3, 0.01, 4),
    )
    rows = (Against("last", 10, None, 0.03, None, None, None, 2),)
    text = shown(report.verdict_table(Verdict("so", 3, 7, None, rows, margin=0.05, questions=questions), "accuracy"))
    assert "gain of the nominee (trial 3), accuracy, + is better, margin 0.05" in text
    for cell in ("against outputs", "TIES", "+0.0100", "-0.0200 .. +0.0400", "6", "7", "`outputs` against none"):
        assert cell in text
    assert "not asked: features must beat" in text
    assert "context" in text


def test_the_verdict_of_an_earlier_version_as_a_table(shown):
    row = Against("uniform", 7, "TIES", 0.01, -0.02, 0.04, 0.5, 6)
    text = shown(report.verdict_table(Verdict("so", 3, 7, None, (row,)), "accuracy"))
    assert "+ is better" in text
    for cell in ("against uniform", "TIES", "+0.0100", "-0.0200 .. +0.0400"):
        assert cell in text


@pytest.mark.parametrize(("direction", "first", "arrow"), [("maximize", "0.9000", "↑"), ("minimize", "0.1000", "↓")])
def test_the_best_recipes_come_first_and_the_controls_last(shown, direction, first, arrow):
    trials = [trial(0, "outputs", 0.3), trial(1, value=0.1), trial(2, value=0.9), trial(3, value=None)]
    lines = shown(report.trials_table(trials, "accuracy", direction)).splitlines()
    assert f"search accuracy {arrow}" in lines[2]
    rows = [line for line in lines if line.startswith("│")]
    assert first in rows[0]
    assert rows[-1].split()[3] == "outputs"


def test_a_confirmed_recipe_comes_before_a_better_search_value(shown):
    trials = [trial(1, value=0.9), trial(2, value=0.1, confirmed=(0.6, 0.8), overhead=2.5)]
    lines = shown(report.trials_table(trials, "accuracy", "maximize")).splitlines()
    rows = [line for line in lines if "curve" in line]
    assert "0.7000 (2)" in rows[0]
    assert "2.50x" in rows[0]
    assert "-" in rows[1]


def test_the_first_trouble_of_a_trial_stands_below_its_recipe(shown):
    trials = [trial(1, warnings=("a note", "another")), trial(2, "uniform", value=None, warnings=("out of memory",))]
    text = shown(report.trials_table(trials, "accuracy", "maximize"))
    assert "note: a note" in text
    assert "another" not in text
    assert "infeasible: out of memory" in text


def test_layers_say_why_not(shown):
    layers = [Layer("a", "Linear", "vector", (8,), 1), Layer("b", "ModuleList", "", (), 0, "is never called")]
    text = shown(report.layers_table("student", layers, {"a"}))
    assert "takes part" in text
    assert "student: 1 of 2 layers can be mapped" in text
    assert "is never called" in text


HOSTILE = "a\x1b[31m\u202e[bold]\n"
SHOWN = r"a\x1b[31m\u202e[bold]\n"


def test_hostile_names_are_shown_as_text(shown):
    recipe = Recipe(LayerMapping((Pair(HOSTILE, "t", 1.0),)), feature_share=0.5).to_json()
    crashed = TrialSummary(0, "tune", "", "infeasible", None, recipe, {}, warnings=(HOSTILE,))
    tables = [
        report.verdict_table(Verdict("so", 3, 7, None, (Against("uniform", 7, "TIES", 0, 0, 0, 1, 6),)), HOSTILE),
        report.trials_table([crashed], HOSTILE, "maximize"),
        report.layers_table("student", [Layer(HOSTILE, HOSTILE, None, (), 0, HOSTILE)]),
        report.findings_table([("error", "task", HOSTILE)]),
    ]
    for table, n_names in zip(tables, (1, 4, 3, 1), strict=True):
        text = shown(table)
        assert text.count(SHOWN) == n_names
        assert text.replace("\n", "").isprintable()
